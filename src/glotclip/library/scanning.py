"""What has become of the files of a library since it was last indexed, by their names and facts alone.

Nothing is read here. A file is *unchanged* if all its facts are and they can be trusted (the rule of the young file,
:mod:`glotclip.data.digests`); *moved* if device, inode, size and modification time are those of a file that is gone;
*fresh* otherwise: its content then tells whether it is new, a copy, or moved from another disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from glotclip.data.listing import NOT_EXAMINED, OTHER, UNREADABLE_FOLDER, list_folder
from glotclip.data.schema import SkippedItem
from glotclip.errors import DataError
from glotclip.library.catalogue import Catalogue
from glotclip.library.decoding import LIVE_MOTIONS, LIVE_STILLS
from glotclip.storage import shown

NO_MEDIA = ".nomedia"
IN_NO_MEDIA = "folder with .nomedia"
EXCLUDED = "excluded"
LEADS_OUT = "link that leads out of the folder"
NOT_THERE = "folder that is not there now: what was indexed of it is kept"
NOT_MOUNTED = "folder that is empty and on another device than before: what was indexed of it is kept"


@dataclass(frozen=True, slots=True)
class Known:
    """A file in the catalogue."""

    id: int
    item: int
    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    dev: int
    ino: int
    settled: bool
    motion: bool

    def is_same(self, facts: os.stat_result) -> bool:
        """Whether a file has changed in nothing."""
        return self.settled and self.ctime_ns == facts.st_ctime_ns and self.was_moved(facts)

    def was_moved(self, facts: os.stat_result) -> bool:
        """Whether it is this file, maybe under another name (which changes the time of change)."""
        return (self.dev, self.ino, self.size, self.mtime_ns) == (
            facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file whose content has to be looked at.

    Attributes:
        path: where it is.
        facts: what the system said of it when it was listed.
        known: the catalogue's file of this name, if there is one.
        video: whether it is a video.
        still: for what may be the moving part of a live photo, its still.
    """

    path: Path
    facts: os.stat_result
    known: Known | None
    video: bool
    still: Path | None = None


@dataclass(slots=True)
class Scan:
    """What has become of the files below some folders."""

    unchanged: list[Known] = field(default_factory=list)
    moved: list[tuple[Known, Path, os.stat_result]] = field(default_factory=list)
    fresh: list[Candidate] = field(default_factory=list)
    gone: list[Known] = field(default_factory=list)
    skipped: list[SkippedItem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that is indexed, with patterns of names that are left out."""

    id: int
    path: Path
    dev: int
    exclude: tuple[str, ...]


def known_roots(catalogue: Catalogue) -> list[Root]:
    """The folders that a library is made of."""
    return [
        Root(number, Path(os.fsdecode(path)), int(dev), tuple(json.loads(exclude)))
        for number, path, dev, exclude in catalogue.rows("SELECT id, path, dev, exclude FROM root ORDER BY path")
    ]


def add_roots(catalogue: Catalogue, folders: Iterable[str | Path], exclude: Sequence[str] | None) -> list[Path]:
    """Make folders part of a library, and return their real paths; those in folders that are part of it already stay
    what they are.

    Raises:
        DataError: if one of them is not a folder or cannot be opened; nothing is changed then.
    """
    real: list[Path] = []
    for folder in folders:
        try:
            place = Path(folder).resolve(strict=True)
            os.scandir(place).close()
        except (OSError, ValueError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise DataError(
                f"{shown(folder)} is not a folder that can be read ({why})", hint="check the path"
            ) from error
        real.append(place)
    with catalogue.changing() as db:
        for place in real:
            roots = known_roots(catalogue)
            covering = next((root for root in roots if place.is_relative_to(root.path)), None)
            patterns = json.dumps(list(exclude or ()))
            if covering is None:
                new = db.execute(
                    "INSERT INTO root (path, dev, exclude) VALUES (?, ?, ?)",
                    (os.fsencode(place), str(place.stat().st_dev), patterns),
                ).lastrowid
                for inner in (root for root in roots if root.path.is_relative_to(place)):
                    db.execute("UPDATE folder SET root = ? WHERE root = ?", (new, inner.id))
                    db.execute("DELETE FROM root WHERE id = ?", (inner.id,))
            elif exclude is not None and covering.path == place:
                db.execute("UPDATE root SET exclude = ? WHERE id = ?", (patterns, covering.id))
    return real


def scan(catalogue: Catalogue, folders: Sequence[Path]) -> Scan:
    """Compare what lies below some folders, which are part of the library, with what is known."""
    found = Scan()
    listed: dict[bytes, tuple[Path, bool]] = {}
    unreachable: list[bytes] = []
    scanned: list[bytes] = []
    for folder in outermost(folders):
        root = next(root for root in known_roots(catalogue) if folder.is_relative_to(root.path))
        scanned.append(os.fsencode(folder))
        try:
            listing = list_folder(folder, _leave_out(root))
        except DataError:
            listing = None
        missing = NOT_THERE if listing is None else NOT_MOUNTED if not len(listing) and _elsewhere(root) else ""
        if listing is None or missing:
            found.skipped.append(SkippedItem(str(folder), None, missing))
            unreachable.append(os.fsencode(folder))
            continue
        found.skipped += listing.unused({"texts": OTHER})
        unreachable += [
            os.fsencode(each.path) for each in listing.passed_over if each.reason in (UNREADABLE_FOLDER, NOT_EXAMINED)
        ]
        listed |= {os.fsencode(path): (path, False) for path in listing.images}
        listed |= {os.fsencode(path): (path, True) for path in listing.videos}
    known = _known_below(catalogue, scanned)
    _compare(found, listed, known, unreachable, _stills(listed))
    return found


def _compare(
    found: Scan,
    listed: dict[bytes, tuple[Path, bool]],
    known: dict[bytes, Known],
    unreachable: Sequence[bytes],
    stills: dict[bytes, Path],
) -> None:
    missing = {path: each for path, each in known.items() if path not in listed and not _below(path, unreachable)}
    by_inode = {(each.dev, each.ino): each for each in missing.values()}
    same: set[bytes] = set()
    for key, (path, video) in listed.items():
        try:
            facts = os.stat(path)  # noqa: PTH116 -- Path.stat costs twice as much, and there are many files
        except OSError as error:
            found.skipped.append(SkippedItem(str(path), None, f"{NOT_EXAMINED} ({error.strerror})"))
            continue
        old, still = known.get(key), stills.get(key)
        motion = still is not None
        # The moving part of a live photo is looked at again when its still has changed; a video of its own is not.
        settled = (not old.motion or os.fsencode(still or b"") in same) if old is not None else False
        if old is not None and old.is_same(facts) and settled:
            found.unchanged.append(old)
            same.add(key)
            continue
        before = by_inode.get((facts.st_dev, facts.st_ino))
        moved = before is not None and before.path in missing and before.settled and before.was_moved(facts)
        if before is not None and moved and not motion and not before.motion:
            found.moved.append((before, path, facts))
            del missing[before.path]
            continue
        found.fresh.append(Candidate(path, facts, old, video, still))
    found.gone = list(missing.values())


def _stills(listed: dict[bytes, tuple[Path, bool]]) -> dict[bytes, Path]:
    """The still of every video that may be the moving part of a live photo: its name but for the suffix."""
    stills = {
        os.path.splitext(key.lower())[0]: path  # noqa: PTH122 -- names are bytes
        for key, (path, video) in listed.items()
        if not video and path.suffix.lower() in LIVE_STILLS
    }
    pairs = {}
    for key, (path, video) in listed.items():
        still = stills.get(os.path.splitext(key.lower())[0])  # noqa: PTH122
        if video and path.suffix.lower() in LIVE_MOTIONS and still is not None and still.parent == path.parent:
            pairs[key] = still
    return pairs


def _known_below(catalogue: Catalogue, folders: Sequence[bytes]) -> dict[bytes, Known]:
    found: dict[bytes, Known] = {}
    for number, item, folder, name, size, mtime, ctime, dev, ino, settled, motion in catalogue.rows(
        "SELECT file.id, item, folder.path, name, size, mtime_ns, ctime_ns, dev, ino, settled, motion "
        "FROM file JOIN folder ON folder.id = file.folder"
    ):
        if _below(folder, folders):
            path = os.path.join(folder, name)  # noqa: PTH118 -- names are bytes
            found[path] = Known(
                number, item, path, size, mtime, ctime, int(dev), int(ino), bool(settled), bool(motion)
            )
    return found


def _below(path: bytes, places: Sequence[bytes]) -> bool:
    return any(path == place or path.startswith(place.rstrip(b"/") + b"/") for place in places)


def outermost(folders: Sequence[Path]) -> list[Path]:
    """Those of some folders that lie in no other."""
    return [
        folder
        for folder in dict.fromkeys(folders)
        if not any(folder != other and folder.is_relative_to(other) for other in folders)
    ]


def cover(folders: Sequence[Path], roots: Sequence[Root]) -> bool:
    """Whether folders hold all of a library."""
    return all(any(root.path.is_relative_to(folder) for folder in folders) for root in roots)


def _elsewhere(root: Root) -> bool:
    """Whether a folder is on another device than when it was indexed: the place where a drive should be."""
    try:
        return root.path.stat().st_dev != root.dev
    except OSError:
        return True


def _leave_out(root: Root) -> Callable[[os.DirEntry[str]], str]:
    """What a library passes over: excluded names, folders with ``.nomedia``, links that lead out."""
    top = os.path.realpath(root.path)

    def why(entry: os.DirEntry[str]) -> str:
        for pattern in root.exclude:
            inside = os.path.relpath(entry.path, top)
            if fnmatch(inside if "/" in pattern else entry.name, pattern.rstrip("/")):
                return EXCLUDED
        try:
            if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(top):
                return LEADS_OUT
            if entry.is_dir() and os.path.lexists(os.path.join(entry.path, NO_MEDIA)):  # noqa: PTH118
                return IN_NO_MEDIA
        except OSError:  # the listing says what is wrong with it
            return ""
        return ""

    return why
