"""Shards of tar, as WebDataset writes them: ``000012.jpg`` with ``000012.txt``, ``000012.json``, … beside it.

Members are files below the folder; whatever would lie elsewhere, or is a link or device, is passed over. Captions and
labels are not kept: a library is asked for what pictures show.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections import Counter
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from glotclip import image_formats
from glotclip.data.frame_readers import VIDEO_SUFFIXES
from glotclip.data.schema import SkippedItem
from glotclip.errors import DataError
from glotclip.library.shards.reading import Reading
from glotclip.storage import disk_errors, shown, writing

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
OUTSIDE, NO_FILE, TWICE = (
    "its name leads out of the shard",
    "a link, a folder or a device",
    "its name is there before",
)
_LONGEST = 200  # bytes of a name
_IN_MEMORY, _CHUNK = 1 << 26, 1 << 20  # bytes


def bring(shard: Path, folder: Path) -> Reading:
    """Write the members that are pictures and videos by their names, unless they are there.

    Raises:
        DataError: if it is no tar.
    """
    found = Reading()
    others: Counter[str] = Counter()
    members, fault = 0, ""
    wanted = image_formats.suffixes().union(VIDEO_SUFFIXES)
    try:
        with tarfile.open(shard, "r|*") as packed:
            for member in packed:
                members += 1
                suffix = PurePosixPath(member.name).suffix.lower()
                if not (member.isfile() or member.isdir()):
                    found.skipped.append(_passed(shard, member, NO_FILE))
                elif member.isfile() and suffix not in wanted:
                    others[suffix or "no suffix"] += 1
                elif member.isfile():
                    _take(found, packed, member, shard, folder)
        fault = "" if _ends(shard) else "it is cut off: it has no end mark"
    except (tarfile.TarError, EOFError, zlib.error, LZMAError) as error:
        fault = str(error) or "it is damaged"
    if fault and not members:
        raise DataError(f"{shown(shard)} is no tar that can be read ({fault})", hint="fetch or pack it anew")
    if fault:
        found.whole = False
        found.skipped.append(SkippedItem(str(shard), None, f"read up to its member {members:,} ({fault})"))
    if others:
        named = ", ".join(f"{count:,} {suffix}" for suffix, count in others.most_common(5))
        found.skipped.append(SkippedItem(str(shard), None, f"members that are no pictures: {named}"))
    return found


def _take(found: Reading, packed: tarfile.TarFile, member: tarfile.TarInfo, shard: Path, folder: Path) -> None:
    """Write a member, or say why not."""
    path = _inside(member.name)
    if path is None:
        found.skipped.append(_passed(shard, member, OUTSIDE))
        return
    if found.is_taken(path):
        found.skipped.append(_passed(shard, member, TWICE))
        return
    found.new += _written(packed, member, folder, path)
    found.add(path)


def _written(packed: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, path: Path) -> bool:
    """Write a member whole or not at all; what is there with its content is left."""
    stream, place = packed.extractfile(member), folder / path
    assert stream is not None  # a regular file
    with disk_errors(place, "--library"), tempfile.SpooledTemporaryFile(_IN_MEMORY) as content:
        shutil.copyfileobj(stream, content)
        if content.tell() != member.size:
            raise tarfile.ReadError("unexpected end of data")
        if place.is_file() and _equal(content, place):
            return False
        _make_room(folder, path)
        content.seek(0)
        with writing(place, durable=False) as aside, aside.open("wb") as out:
            shutil.copyfileobj(content, out)
        with contextlib.suppress(OSError, OverflowError, ValueError):  # a time that no file can have
            os.utime(place, (member.mtime, member.mtime))
    return True


def _equal(content: IO[bytes], path: Path) -> bool:
    if content.tell() != path.stat().st_size:
        return False
    content.seek(0)
    with path.open("rb") as old:
        return all(chunk == old.read(_CHUNK) for chunk in iter(lambda: content.read(_CHUNK), b""))


def _make_room(folder: Path, path: Path) -> None:
    """Remove what an earlier state of the shard had where a path needs a folder, or a folder where it is a file."""
    if (folder / path).is_dir():
        shutil.rmtree(folder / path)
    for parent in path.parents:
        if (folder / parent).is_file():
            (folder / parent).unlink()


def _inside(name: str) -> Path | None:
    """A member's path below the folder, or ``None`` for one that leads out or that a file cannot have."""
    parts = PurePosixPath(name).parts
    hostile = not parts or name.startswith("/") or ".." in parts or "\0" in name or "\\" in name
    too_long = any(len(os.fsencode(part)) > _LONGEST for part in parts)
    return None if hostile or too_long else Path(*(part.lstrip(".") or "_" for part in parts))


def _passed(shard: Path, member: tarfile.TarInfo, reason: str) -> SkippedItem:
    return SkippedItem(f"{shard}/{member.name}", None, reason)


def _ends(shard: Path) -> bool:
    """Whether a plain tar ends in a block of zeros; tarfile takes one that is cut between members for whole."""
    if shard.suffix.lower() != ".tar":
        return True  # a compressed one tells by its own check
    with shard.open("rb") as stream:
        stream.seek(max(0, shard.stat().st_size - tarfile.BLOCKSIZE))
        return not any(stream.read())
