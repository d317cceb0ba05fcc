"""Frozen towers in plain torch, their tokenizers, and the checkpoints they are read from."""
