"""Pictures that do not lie in a folder: shards of tar (WebDataset) and tables of addresses (parquet).

A library shows, sends and encodes files. So the pictures of a shard are brought into a folder of the library first,
once: a shard that has not changed since is not read again. They are files like any other then, whose shard may go.

A kind of shard is a module with ``SUFFIXES``, and ``bring(shard, folder)``; it stands in :data:`KINDS`.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from glotclip.data.schema import SkippedItem
from glotclip.errors import DataError
from glotclip.library.shards import tar, urls
from glotclip.ownership import Workplace
from glotclip.storage import flush_below, read_json, shown, write_json

KINDS = (tar, urls)
SUFFIXES = tuple(suffix for kind in KINDS for suffix in kind.SUFFIXES)
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST = 100_000  # shards that a pattern stands for
_NAME = 60


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a shard.

    Attributes:
        folder: where its pictures are.
        new: pictures that were written now.
        skipped: what is no picture, or could not be had, and why.
    """

    folder: Path
    new: int
    skipped: tuple[SkippedItem, ...]


def is_shard(name: str | Path) -> bool:
    """Whether a name is a shard's, or a pattern of them, and not a folder's."""
    return str(name).lower().endswith(SUFFIXES) and not Path(name).is_dir()


def matching(name: str | Path) -> list[Path]:
    """The shards that a name stands for: itself, or ``{00000..00041}`` and wildcards in it.

    Raises:
        DataError: if there is none, or one of those in braces is missing.
    """
    text = str(name)
    if Path(text).is_file():
        return [Path(text)]
    found: list[Path] = []
    for each in _unfolded(text):
        own = sorted(glob.glob(each)) if glob.has_magic(each) else [each] if Path(each).is_file() else []  # noqa: PTH207
        if not own:
            raise DataError(f"there is no file {shown(each)}", hint="check the path, or the pattern")
        found += map(Path, own)
    return found


def _unfolded(text: str) -> Iterable[str]:
    """The names of a pattern with ``{first..last}``, which is written with as many digits as ``first``."""
    braces = _BRACES.search(text)
    if braces is None:
        return [text]
    first, last = braces.groups()
    if not 0 <= int(last) - int(first) < _MOST:
        raise DataError(f"{shown(text)} stands for no shards", hint="write {00000..00041}, the smaller number first")
    before, after = text[: braces.start()], text[braces.end() :]
    return (
        name
        for number in range(int(first), int(last) + 1)
        for name in _unfolded(f"{before}{number:0{len(first)}}{after}")
    )


def bring_all(names: Sequence[str | Path], library: Workplace, home: str) -> list[Brought]:
    """Bring the pictures of the shards among names of folders and shards into a subfolder of a library.

    Raises:
        DataError: if one of the shards is not there, or cannot be read at all.
    """
    found = [shard for name in names if is_shard(name) for shard in matching(name)]
    if found:
        library.claim_folder(home)
    return [bring(shard, library.folder / home) for shard in found]


def bring(shard: Path, home: Path) -> Brought:
    """Bring the pictures of a shard into a folder of their own below ``home``.

    Raises:
        DataError: if it cannot be read at all.
        StorageError: if the disk refuses; what was written is kept.
    """
    kind = next(kind for kind in KINDS if shard.name.lower().endswith(kind.SUFFIXES))
    try:
        real = shard.resolve(strict=True)
        facts = real.stat()
    except OSError as error:
        raise DataError(f"{shown(shard)} cannot be read ({error.strerror})", hint="check the path") from error
    place = hashlib.sha256(os.fsencode(real)).hexdigest()[:12]
    folder = home / f"{re.sub(r'[^A-Za-z0-9_-]+', '_', shard.name)[:_NAME]}-{place}"
    record = home / f"{folder.name}.json"
    now = {"shard": str(real), "size": facts.st_size, "mtime_ns": facts.st_mtime_ns, "inode": facts.st_ino}
    before = read_json(record) if record.is_file() else {}
    if folder.is_dir() and {name: before.get(name) for name in now} == now:
        return Brought(folder, 0, tuple(_read(before["skipped"])))
    folder.mkdir(parents=True, exist_ok=True)
    read = kind.bring(real, folder)
    if read.whole:  # else what is missing is tried again the next time
        for path in folder.rglob("*"):
            if path.is_file() and path.relative_to(folder) not in read.present:
                path.unlink()
        flush_below(folder)
        write_json(record, {**now, "skipped": [[each.where, each.reason] for each in read.skipped]})
    return Brought(folder, read.new, tuple(read.skipped))


def _read(skipped: Iterable[tuple[str, str]]) -> Iterator[SkippedItem]:
    return (SkippedItem(where, None, reason) for where, reason in skipped)
