"""Strategies against forgetting, a file each; :mod:`glotclip.training.strategies.registry` lists them."""
