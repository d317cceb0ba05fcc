"""One file that holds a polyglot: ``.tar.gz`` or ``.zip``, the same bytes for the same content.

    NAME/polyglot.json  NAME/packs/PACK-1/…  and, where it was asked for, NAME/base/…

Unpacked anywhere, ``NAME`` is a model folder.
"""

from __future__ import annotations

import contextlib
import gzip
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from glotclip.errors import ConfigError, PackError

SUFFIXES = (".tar.gz", ".tgz", ".zip")
BASE = "base"  # the folder of the base in an archive
# Weights hardly shrink; whatever grows more than this was made to fill disks.
_MOST_GROWTH, _MOST_FILES, _SMALL = 100, 10_000, 256 << 20
_BLOCK = 1 << 20


class Member(NamedTuple):
    """A file to be packed: its name inside, with slashes, and where its content lies."""

    name: str
    content: Path


def is_archive(path: Path | str) -> bool:
    """Whether a file's name is one of an archive."""
    return str(path).lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """An archive's name without its ending.

    Raises:
        ConfigError: if it is not named as an archive.
    """
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return path.name[: -len(suffix)]
    raise ConfigError(f"{path} is not named as an archive", hint=f"give a name that ends in {' or '.join(SUFFIXES)}")


def pack_up(members: Iterable[Member], path: Path, *, as_zip: bool) -> None:
    """Write an archive; it depends on names and contents of the members alone, not on when and where it is made."""
    ordered = sorted(members)
    if as_zip:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for member in ordered:
                info = zipfile.ZipInfo(member.name, (1980, 1, 1, 0, 0, 0))
                info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
                info.external_attr = (stat.S_IFREG | 0o644) << 16
                with member.content.open("rb") as source, made.open(info, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, _BLOCK)
        return
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.PAX_FORMAT) as packed,
    ):
        for member in ordered:
            entry = tarfile.TarInfo(member.name)
            entry.size, entry.mode = member.content.stat().st_size, 0o644
            with member.content.open("rb") as source:
                packed.addfile(entry, source)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack an archive into a folder that goes away afterwards, without the base, and yield what is in it.

    Nothing is written outside of that folder. Links, devices, names that lead out, double names, and content that
    grows beyond measure are refused.

    Raises:
        PackError: if the archive is damaged or unsafe.
    """
    with tempfile.TemporaryDirectory(prefix="glotclip-pack-") as name:
        place = Path(name)
        try:
            with contextlib.ExitStack() as stack:
                _unpack(_members(path, stack), place, max(_SMALL, _MOST_GROWTH * path.stat().st_size), path)
        except (
            tarfile.TarError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            RuntimeError,
            ValueError,
        ) as error:
            raise PackError(f"{path} cannot be unpacked: {error}", hint="get the archive again") from error
        inside = list(place.iterdir())
        yield inside[0] if len(inside) == 1 and inside[0].is_dir() else place


class _Packed(NamedTuple):
    name: str
    size: int
    content: IO[bytes] | None  # None: a folder


def _members(path: Path, stack: contextlib.ExitStack) -> Iterator[_Packed]:
    if zipfile.is_zipfile(path):
        archive = stack.enter_context(zipfile.ZipFile(path))
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or info.flag_bits & 1:
                raise ValueError(f"{info.filename!r} is a link or device, or encrypted")
            if info.is_dir():
                yield _Packed(info.filename, 0, None)
            else:
                content = stack.enter_context(archive.open(info))
                yield _Packed(info.filename, info.file_size, content)
        return
    packed = stack.enter_context(tarfile.open(path, "r:*"))  # noqa: SIM115 -- the caller's stack closes it
    for member in packed:
        if not (member.isreg() or member.isdir()):
            raise ValueError(f"{member.name!r} is a link or device")
        yield _Packed(member.name, member.size, None if member.isdir() else packed.extractfile(member))


def _unpack(members: Iterable[_Packed], place: Path, limit: int, path: Path) -> None:
    seen, total = set[str](), 0
    for count, member in enumerate(members, start=1):
        parts = _safe(member.name)
        total += member.size
        if total > limit or count > _MOST_FILES:
            raise ValueError(f"its content grows beyond {limit:,} bytes or {_MOST_FILES:,} files")
        if member.content is None or not parts:
            continue
        with member.content as source:
            folded = "/".join(parts).casefold()
            if folded in seen:
                raise ValueError(f"it holds {member.name!r} twice")
            seen.add(folded)
            if BASE in parts[:2]:
                continue
            target = place.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            left = member.size
            with target.open("xb") as into:
                while block := source.read(min(_BLOCK, left + 1)):
                    left -= len(block)
                    if left < 0:
                        raise ValueError(f"{member.name!r} is larger than it says")
                    into.write(block)


def _safe(name: str) -> list[str]:
    """The parts of a member's name; one that could lead elsewhere is refused."""
    parts = [part for part in name.removesuffix("/").split("/") if part != "."]
    if re.search(r"[\\\x00:]", name) or any(part in ("", "..") for part in parts):
        raise ValueError(f"the name {name!r} may lead out of it")
    return parts
