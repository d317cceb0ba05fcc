"""The lines of a text file of any size, one at a time: plain, compressed, or a member of a zip archive."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from glotclip.data.encodings import MARKS, known_encoding
from glotclip.errors import DataError

#: A longer line is no line of text: a file of another kind, or one whose ends of lines are lost.
LONGEST_LINE = 1 << 22
_OPENERS: dict[str, Any] = {".gz": gzip.GzipFile, ".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}


@dataclass(frozen=True)
class TextFile:
    """A file, or a member of a zip archive.

    Attributes:
        path: the file or the archive.
        member: the member's name; empty for a file.
    """

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Its name without folders and endings of compression."""
        name = Path(self.member or self.path.name).name
        return name[: -len(Path(name).suffix)] if Path(name).suffix in _OPENERS else name

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    def lines(self, encoding: str | None = None) -> Iterator[str]:
        """Yield the lines without their ends; only line feeds end one. Memory does not grow with the file.

        Args:
            encoding: as for :func:`~glotclip.data.encodings.read_text`.

        Raises:
            DataError: if it is absent, damaged, not in that encoding, or no text; the message names the line.
        """
        number = 0
        try:
            with closing(self.open()) as stream:
                name, first = _encoding(stream, encoding)
                decoder = codecs.getincrementaldecoder(name)()
                rest, block = "", first
                while True:
                    rest += decoder.decode(block, final=not block)
                    *whole, rest = rest.split("\n")
                    for line in whole:
                        number += 1
                        yield line.removesuffix("\r")
                    if len(rest) > LONGEST_LINE:
                        raise DataError(
                            f"{self}: line {number + 1} is longer than {LONGEST_LINE:,} letters",
                            hint="give a text file with a pair in each line",
                        )
                    if not block:
                        break
                    block = stream.read(1 << 18)
                if rest:
                    yield rest.removesuffix("\r")
        except UnicodeError as error:
            raise DataError(
                f"{self} is not {(encoding or 'utf-8').upper()}: a line after line {number:,} holds other bytes",
                hint="save it as UTF-8, or name its encoding (--encoding cp1252, gb18030, …)",
            ) from error
        except FileNotFoundError as error:
            raise DataError(f"{self.path} does not exist", hint="check the path") from error
        except (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, KeyError) as error:
            raise DataError(f"{self} cannot be read ({error})", hint="fetch or pack it anew") from error

    def open(self) -> IO[bytes]:
        """Open it for reading bytes, decompressed."""
        if self.member:
            archive = zipfile.ZipFile(self.path)
            return archive.open(self.member)
        opener = _OPENERS.get(self.path.suffix.lower())
        opened: IO[bytes] = opener(self.path, "rb") if opener else self.path.open("rb")
        return opened

    def head(self, most: int, encoding: str | None = None) -> list[str]:
        """The first lines."""
        lines = self.lines(encoding)
        return [line for _, line in zip(range(most), lines, strict=False)]


def text_files(path: Path) -> list[TextFile]:
    """The files in a folder (not below it), the members of a zip archive, or the one file."""
    if path.is_dir():
        return [TextFile(each) for each in sorted(path.iterdir()) if each.is_file() and not each.name.startswith(".")]
    if path.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                return [TextFile(path, each.filename) for each in archive.infolist() if not each.is_dir()]
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{path} is not a whole zip archive ({error})", hint="fetch it anew") from error
    return [TextFile(path)]


def _encoding(stream: IO[bytes], given: str | None) -> tuple[str, bytes]:
    """The encoding, by the mark at the beginning or as given, and the first bytes without the mark."""
    first = stream.read(1 << 18)
    for mark, name in MARKS:
        if first.startswith(mark):
            return name, first[len(mark) :]
    return known_encoding(given) if given else "utf-8", first
