"""The field's sets of captioned videos, each read from the folder or file as its owner lays it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glotclip.data.videosets import manifest, msrvtt, vatex
from glotclip.data.videosets.videoset import VideoSet

__all__ = ["VideoSet", "recognise"]

_LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path], VideoSet]], ...] = (
    (msrvtt.recognises, msrvtt.read),
    (vatex.recognises, vatex.read),
    (manifest.recognises, manifest.read),
)


def recognise(path: Path) -> Callable[[Path], VideoSet] | None:
    """Return what reads a folder or file, or ``None`` if it is none of these sets."""
    return next((read for recognises, read in _LAYOUTS if recognises(path)), None)
