"""Comparing ways to teach languages: runs and seeds from one recipe, resumable cell by cell, in one report."""
