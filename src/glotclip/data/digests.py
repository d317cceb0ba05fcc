"""The content of files, by which features and translations are remembered: SHA-256, computed once a file.

A file that was hashed before is known by cheap facts: resolved path, size, modification and change time, inode and
device. The index of facts and digests is one append-only file of whole records, shared by processes and whole after a
kill. A record holds a checksum of itself, so that what a power cut left of it is not believed.

**The rule of the young file** (as for git's index): times of files are as coarse as the file system's clock, so a
file that was changed within the same tick as it was hashed would look unchanged ever after. The facts of a file
changed less than ``SETTLED`` ns before are therefore not remembered; it is hashed again the next time.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from glotclip.storage import append_whole, cache_root

SETTLED = 2_000_000_000  # the coarsest clock in use is FAT's, 2 s
FILE = "contents-1.bin"  # a new format gets a new number, and old files are left alone
_LOCK_SECONDS = 30.0
#: More files than this are not compared by content: asking the disk for the size of each would take long.
MOST = 50_000
_DIGEST, _CHECK = 32, 8
_RECORD = 2 * _DIGEST + _CHECK


@dataclass(frozen=True, slots=True)
class Facts:
    """What tells without reading that a file is still the same."""

    path: str
    size: int
    modified: int
    changed: int
    inode: int
    device: int

    @classmethod
    def of(cls, path: Path) -> Facts:
        """Look at a file, through links.

        Raises:
            OSError: if it is absent, or not a regular file (a pipe must never be opened).
        """
        try:
            resolved = path.resolve(strict=True)
        except RuntimeError as error:  # links in a circle
            raise OSError(0, "its links lead in a circle", str(path)) from error
        found = resolved.stat()
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "it is not a regular file", str(path))
        return cls(str(resolved), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)

    @property
    def key(self) -> bytes:
        """32 bytes that stand for the facts."""
        numbers = (self.size, self.modified, self.changed, self.inode, self.device)
        text = "\0".join((self.path, *map(str, numbers)))
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()

    def settled(self, now: int) -> bool:
        """Whether the file was last changed so long before ``now`` (ns) that its times tell it from a later state."""
        # Users set modification times at will; of change times only the system does. Windows keeps none.
        last = self.modified if os.name == "nt" else self.changed
        return last + SETTLED < now


class DigestIndex:
    """The digests of files.

    Args:
        folder: where the index lies; ``None``: glotclip's cache folder. Where it cannot be written, nothing is
            remembered beyond this object's life.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or cache_root()) / FILE
        self._known: dict[bytes, bytes] = {}
        self._new: list[bytes] = []
        self._lock = threading.Lock()
        try:
            content = self.path.read_bytes()
        except OSError:  # absent, or not to be read: then files are hashed anew
            content = b""
        for start in range(0, len(content) - _RECORD + 1, _RECORD):
            self._known[content[start : start + _DIGEST]] = content[start + _DIGEST : start + _RECORD]

    def known(self, facts: Facts) -> bytes | None:
        """Return the digest of a file that was hashed before, or None."""
        rest = self._known.get(facts.key)
        if rest is None or rest[_DIGEST:] != _check(facts.key + rest[:_DIGEST]):
            return None
        return rest[:_DIGEST]

    def compute(self, path: Path, facts: Facts) -> bytes:
        """Return the digest of a file by reading it; to be used by several threads at once.

        Raises:
            OSError: if it cannot be read, or is no longer the file that ``facts`` describe.
        """
        now = time.time_ns()
        with Path(facts.path).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
        check_unchanged(path, facts)
        if facts.settled(now):
            record = facts.key + digest + _check(facts.key + digest)
            with self._lock:
                self._new.append(record)
                self._known[facts.key] = record[_DIGEST:]
        return digest

    def of(self, path: Path) -> bytes:
        """Return the SHA-256 of a file's content, from the index or by reading it, and remember it.

        Raises:
            OSError: if it cannot be read.
        """
        found = self._look(path)
        self.save()
        return found

    def of_all(self, paths: Iterable[Path]) -> dict[Path, bytes]:
        """Return the SHA-256 of the files that can be read, as :meth:`of` does."""
        found: dict[Path, bytes] = {}
        for path in paths:
            try:
                found[path] = self._look(path)
            except OSError:
                continue
        self.save()
        return found

    def _look(self, path: Path) -> bytes:
        facts = Facts.of(path)
        return self.known(facts) or self.compute(path, facts)

    def save(self) -> None:
        """Append what is new to the file; where that is impossible it is only remembered here."""
        import filelock

        with self._lock:
            new, self._new = self._new, []
        if new:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with filelock.FileLock(f"{self.path}.lock", timeout=_LOCK_SECONDS):
                    size = self.path.stat().st_size if self.path.exists() else 0
                    append_whole(self.path, size // _RECORD * _RECORD, b"".join(new))
            except (OSError, NotImplementedError):  # it only spares time; the feature cache says what is wrong
                return


def alike(paths: Iterable[Path | None], most: int = MOST) -> dict[Path, Path]:
    """Return, for each file that another one equals, the first of those with that content.

    Sizes are compared first; only files of one size are read. A file that cannot be read equals no other.

    Args:
        paths: files; None and repetitions are passed over.
        most: with more files than this, nothing is compared and nothing returned.
    """
    files = [path for path in dict.fromkeys(paths) if path is not None]
    if len(files) > most:
        return {}
    by_size: dict[int, list[Path]] = {}
    for path in files:
        try:
            by_size.setdefault(path.stat().st_size, []).append(path)
        except OSError:
            continue
    several = [of_size for size, of_size in by_size.items() if len(of_size) > 1 and size]
    digests = DigestIndex().of_all([path for of_size in several for path in of_size]) if several else {}
    same: dict[Path, Path] = {}
    for of_size in several:
        first: dict[bytes, Path] = {}
        for path in of_size:
            if path not in digests:
                continue
            kept = first.setdefault(digests[path], path)
            if kept != path:
                same[path] = same[kept] = kept
    return same


def check_unchanged(path: Path, facts: Facts) -> None:
    """Raise :class:`OSError` if a file is no longer the one that ``facts`` describe."""
    if Facts.of(path) != facts:
        raise OSError(0, "it changed while it was read", str(path))


def _check(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:_CHECK]
