"""Defaults of reading data, apart from what they are the defaults of: a help text shows them without loading it."""

#: The share of rows that may be left out before data is refused.
MAX_SKIPPED = 0.05
#: The share of the images that is held out for testing where no row says its split.
HOLD_OUT = 0.1
