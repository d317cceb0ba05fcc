"""The field's sets of captioned videos, each read from the folder or file as its owner lays it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from glotclip.data.videosets import manifest, msrvtt, vatex
from glotclip.data.videosets.videoset import VideoSet

__all__ = ["ReadVideos", "VideoSet", "recognise"]


class ReadVideos(Protocol):
    """Reads a set from its folder or file.

    ``videos`` is the folder of the videos, where it is another one. ``hold_out`` is the share of videos to hold out
    for testing where the set does not say which those are.
    """

    def __call__(self, path: Path, videos: Path | None = None, *, hold_out: float = 0.0) -> VideoSet:
        """Read all captions."""
        ...


def _as_released(read: Callable[..., VideoSet]) -> ReadVideos:
    """A reader of a set whose lists say what is tested on."""

    def reading(path: Path, videos: Path | None = None, *, hold_out: float = 0.0) -> VideoSet:
        del hold_out
        return read(path, videos)

    return reading


_LAYOUTS: tuple[tuple[Callable[[Path], bool], ReadVideos], ...] = (
    (msrvtt.recognises, _as_released(msrvtt.read)),
    (vatex.recognises, _as_released(vatex.read)),
    (manifest.recognises, manifest.read),
)


def recognise(path: Path) -> ReadVideos | None:
    """Return what reads a folder or file, or ``None`` if it is none of these sets."""
    return next((read for recognises, read in _LAYOUTS if recognises(path)), None)
