"""The content of a file: text in whatever encoding it says it is in, its lines, the objects in a JSON file."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from glotclip.errors import ConfigError, DataError
from glotclip.storage import read_json

#: Byte-order marks, the longer first, since UTF-16's begins UTF-32's.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAVE = "save it as UTF-8 (in a spreadsheet: “CSV UTF-8”), or name its encoding (--encoding cp1252, gb18030, …)"


def read_text(path: Path, encoding: str | None = None) -> str:
    """Return the text of a file, plain or ``.gz``, without byte-order mark.

    Args:
        path: the file.
        encoding: a name that Python knows; ``None``: as the byte-order mark says (UTF-8, UTF-16, UTF-32: a
            spreadsheet's "Unicode text" has one), and UTF-8 without such.

    Raises:
        DataError: if it is absent, damaged, or not in that encoding; the message names the line.
        ConfigError: if there is no such encoding.
    """
    content = _bytes(path)
    mark, marked = next(((mark, name) for mark, name in MARKS if content.startswith(mark)), (b"", None))
    name = known_encoding(encoding) if encoding else marked or "utf-8"
    if marked and codecs.lookup(name).name.startswith(marked[:6]):  # said in any of its spellings, it is no text
        content, name = content[len(mark) :], marked
    try:
        text = content.decode(name)
    except UnicodeError as error:
        start = getattr(error, "start", 0)  # UnicodeDecodeError has it
        line = content[:start].decode(name, errors="replace").count("\n") + 1
        said = "UTF-8" if name == "utf-8" else name
        raise DataError(
            f"{path} is not {said}: line {line} holds the byte 0x{content[start]:02x}",
            hint="give the encoding it was written in" if encoding else _SAVE,
        ) from error
    if not encoding and not marked and (guess := _wide(content)):
        raise DataError(
            f"{path} looks like UTF-16 without a byte-order mark: line 1 holds zero bytes",
            hint=f"{_SAVE}; here probably --encoding {guess}",
        )
    return text.removeprefix("\ufeff")


def split_lines(text: str) -> list[str]:
    """Split at line feeds, or at carriage returns in a text that has no line feed; the last line may lack its end.

    ``str.splitlines`` also breaks at U+2028 and its like, inside a caption. A carriage return before a line feed
    stays at its line's end; whoever wants the text strips it.
    """
    end = "\n" if "\n" in text or "\r" not in text else "\r"
    return text.removesuffix(end).split(end) if text else []


def read_lines(path: Path) -> list[str]:
    """Return the lines of an owner's file, plain or ``.gz``; the last may or may not end in a line break."""
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]


def first_file(folder: Path, names: Iterable[str]) -> Path | None:
    """Return the first of ``names`` that is a file below ``folder``, plain or with ``.gz``."""
    candidates = (folder / f"{name}{ending}" for name in names for ending in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def read_objects(path: Path, key: str | None = None) -> list[dict[str, Any]]:
    """Return the objects of a JSON array, or of the array under ``key``.

    Raises:
        DataError: if the file is damaged or of another shape.
    """
    content = read_json(path)
    if key is not None:
        content = content.get(key) if isinstance(content, dict) else None
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        what = f'an object with an array "{key}"' if key else "an array of objects"
        raise DataError(f"{path} is not {what}", hint="fetch the file anew from its owner")
    return content


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix.lower() == ".gz" else content
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", hint="check the path") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error})", hint="fetch or pack it anew") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})", hint="check its permissions") from error


def known_encoding(encoding: str) -> str:
    """Return Python's name of an encoding of text, or raise :class:`ConfigError`."""
    try:
        found = codecs.lookup(encoding)
        "".encode(found.name)  # refuses codecs that are no encodings of text, such as hex
    except (LookupError, TypeError, ValueError) as error:
        raise ConfigError(
            f"unknown encoding {encoding!r}",
            hint="e.g. --encoding utf-16, cp1252, gb18030 or shift-jis, or leave it out for UTF-8",
        ) from error
    return found.name


def _wide(content: bytes) -> str | None:
    """Name UTF-16 where every other of the first bytes is zero, as in text of Latin letters without a mark."""
    head = content[:400]
    for zeros, name in ((head[1::2], "utf-16-le"), (head[::2], "utf-16-be")):
        if len(zeros) > 1 and zeros.count(0) > 0.6 * len(zeros):
            return name
    return None
