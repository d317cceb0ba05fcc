"""Caption files of every usual kind become one :class:`~glotclip.data.schema.Corpus`.

- ``.csv``, ``.tsv``, ``.jsonl`` (each also ``.gz``): columns by header, see :mod:`glotclip.data.tables`; what a
  spreadsheet saves as "Unicode text" (``.txt``, UTF-16 with tabs) is such a table too;
- a folder of images with captions beside them, see :mod:`glotclip.data.sidecars`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from glotclip.data.encodings import read_text
from glotclip.data.rows import Collector, ParsedRow
from glotclip.data.schema import Corpus, known_language
from glotclip.data.sidecars import read_folder
from glotclip.data.tables import field_of, from_json_lines, from_table
from glotclip.errors import DataError

_TABLES = {".csv": False, ".tsv": True, ".tab": True}
_JSON_LINES = (".jsonl", ".ndjson")


def read(
    path: Path, *, default_lang: str | None = None, images: Path | None = None, encoding: str | None = None
) -> Corpus:
    """Read captions from a file or folder.

    A row in another language without English takes the English row of its group or image, and a row's
    ``translations`` become rows of their own; see :func:`glotclip.data.rows.spread_translations`.

    Args:
        path: a ``.csv``, ``.tsv`` or ``.jsonl`` file, plain or ``.gz``; or a folder with captions beside the images.
        default_lang: language of rows, or caption files, that do not say theirs.
        images: the folder that relative image and video paths start from; ``None``: that of the file.
        encoding: of the file or files; see :func:`glotclip.data.encodings.read_text`.

    Raises:
        LanguageError: if ``default_lang`` is not a language code.
        ConfigError: if there is no such encoding.
        DataError: if the file is absent, of an unknown kind or another encoding, or lacks a needed column; or if
            there is no folder ``images``.
    """
    default_lang = None if default_lang is None else known_language(default_lang)
    if images is not None and not images.is_dir():
        raise DataError(f"{images} is not a folder", hint="name the folder of the images with --images")
    if path.is_dir():
        return read_folder(path, default_lang=default_lang, images=images, encoding=encoding)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else (suffixes or [""])[-1]
    collector = Collector(default_lang, images)
    parsed: Iterable[ParsedRow]
    if kind in _TABLES:
        text = read_text(path, encoding)
        parsed = from_table(text, path, default_lang, collector.notes.append, tabs=_TABLES[kind])
    elif kind in _JSON_LINES:
        parsed = from_json_lines(read_text(path, encoding), path, default_lang, collector.notes.append)
    elif kind == ".txt" and _has_header(text := read_text(path, encoding)):
        parsed = from_table(text, path, default_lang, collector.notes.append, tabs=True)
    else:
        raise DataError(
            f"{path} is not a kind of caption file that is known",
            hint="give a .csv, .tsv or .jsonl file (also .gz), or a folder of images with .txt files beside them",
        )
    collector.add(parsed, str(path), path.parent)
    return collector.corpus(path.name)


def _has_header(text: str) -> bool:
    """Whether a text begins with the header of a table with tabs."""
    first = text.partition("\n")[0].split("\t")
    return len(first) > 1 and any(field_of(header) == "text" for header in first)
