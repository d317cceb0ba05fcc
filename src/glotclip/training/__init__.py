"""The one training loop, and what drives it."""
