"""Measuring: retrieval, what languages forget, and the report about it."""
