"""Where a polyglot's base is found: by the path relative to the folder, where it was, or beside the folder.

A source is a built-in name, an id of the hub, or a path; two of them joined by ``+`` for Multilingual-CLIP.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from glotclip.config import Settings
from glotclip.errors import CheckpointError, FingerprintError, GlotclipError
from glotclip.models.checkpoints import load_base
from glotclip.models.dual_encoder import DualEncoder


class BaseSource(Settings):
    """The base, and where to load it from.

    Attributes:
        name: what the base is called.
        fingerprint: of its weights; nothing else is taken for it.
        source: a built-in name, an id of the hub, or the absolute path where it was last.
        relative: the same seen from the polyglot's folder, where it is a path; both may move together.
    """

    name: str
    fingerprint: str
    source: str
    relative: str | None = None

    @classmethod
    def of(cls, base: DualEncoder, source: str, folder: Path) -> BaseSource:
        """Describe a loaded base for the polyglot in ``folder``."""
        seen = [_seen_from(folder, part) for part in _parts(source)]
        relative = "+".join(seen) if seen != _parts(source) else None
        return cls(name=base.name, fingerprint=base.fingerprint, source=source, relative=relative)

    def candidates(self, folder: Path) -> Iterator[str]:
        """Where to look, in this order; paths that do not exist are left out."""
        names = _parts(self.source)
        seen = self.relative.split("+") if self.relative else names
        moved = [
            name if near in (None, name) else os.path.normpath(folder.resolve() / near)
            for name, near in itertools.zip_longest(names, seen[: len(names)])
        ]
        beside = ([_beside(name, where) for name in names] for where in (folder.resolve().parent, folder))
        for source in dict.fromkeys("+".join(each) for each in (moved, names, *beside)):
            if all(Path(part).exists() for part in _parts(source) if Path(part).is_absolute()):
                yield source

    def find(self, folder: Path) -> tuple[DualEncoder, str]:
        """Load the base that the polyglot in ``folder`` needs, and return it with where it was found.

        Raises:
            CheckpointError: if it is nowhere.
            FingerprintError: if what is found has other weights.
        """
        fault: GlotclipError | None = None
        other: tuple[str, str] | None = None
        for source in self.candidates(folder):
            try:
                base = load_base(source)
            except GlotclipError as error:
                fault = fault or error
                continue
            if base.fingerprint == self.fingerprint:
                return base, source
            other = other or (source, base.fingerprint)
        if other is not None:
            raise self.other_weights(folder, *other)
        said = fault.message if fault else f"there is no {self.source}, and nothing of that name beside {folder}"
        raise CheckpointError(
            f"{folder} needs the base {self.name}, which could not be loaded: {said}",
            hint=f"put it back or beside {folder}, or name it: --base PATH on the command line, "
            f"glotclip.load({str(folder)!r}, base=…) in Python",
        ) from fault

    def other_weights(self, folder: Path, source: str, fingerprint: str) -> FingerprintError:
        """The error of a base that is not the one."""
        return FingerprintError(
            f"{folder} was made for {self.name} ({self.fingerprint}); {source} now has other weights ({fingerprint})",
            hint="restore the original base or name it with --base, or extend the new one from the start",
        )


def absolute(source: str) -> str:
    """A source with its existing paths made absolute, so that it is found from any folder."""
    return "+".join(
        str(Path(part).expanduser().resolve()) if Path(part).expanduser().exists() else part
        for part in _parts(source)
    )


def _parts(source: str) -> list[str]:
    return source.split("+") if "+" in source and not Path(source).expanduser().exists() else [source]


def _seen_from(folder: Path, part: str) -> str:
    if not (Path(part).is_absolute() and Path(part).exists()):
        return part
    try:
        return Path(os.path.relpath(os.path.realpath(part), folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return part


def _beside(part: str, where: Path) -> str:
    """The thing of the same name in another folder, where there is one."""
    place = where.resolve() / Path(part.replace("\\", "/")).name
    return str(place) if place.exists() else part
