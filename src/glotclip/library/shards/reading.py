"""What reading a shard gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from glotclip.data.schema import SkippedItem


@dataclass(slots=True)
class Reading:
    """What became of a shard's pictures.

    Attributes:
        present: all that are in the folder now, by their paths in it.
        new: how many of them were written now.
        skipped: what is no picture, or could not be had, and why.
        whole: whether nothing has to be tried again: the shard was read to its end, and all was had.
    """

    present: set[Path] = field(default_factory=set)
    new: int = 0
    skipped: list[SkippedItem] = field(default_factory=list)
    whole: bool = True
    _folders: set[Path] = field(default_factory=set)

    def add(self, path: Path) -> None:
        """Say that a picture is there."""
        self.present.add(path)
        self._folders.update(path.parents)

    def is_taken(self, path: Path) -> bool:
        """Whether a picture is there by this path, or one that a folder would have to be a file for, or reversely."""
        return path in self._folders or not self.present.isdisjoint((path, *path.parents))
