"""Comparing ways to teach languages: runs and seeds from one recipe, resumable trial by trial, in one report."""
