"""Captions, images and features: what is trained on and measured, whatever file it came from."""
