"""Bilingual dictionaries and word lists: their formats, and the cleaning of their entries into pairs."""
