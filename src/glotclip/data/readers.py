"""Caption files of every usual kind become one :class:`~glotclip.data.schema.Corpus`.

- ``.csv``, ``.tsv``, ``.jsonl`` (each also ``.gz``): columns by header, see :mod:`glotclip.data.columns`; what a
  spreadsheet saves as "Unicode text" (``.txt``, UTF-16 with tabs) is such a table too;
- a folder of pictures, each with captions beside it, one a line: ``photo.txt`` or ``photo.de.txt``.

A row that cannot be used never ends the reading: it is listed with line and reason in ``corpus.skipped``, and
:func:`~glotclip.data.schema.check_share` says when there are too many. What else a reader should know is told in
``corpus.notes``: columns that are not used, cells that were taken as empty.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glotclip.data import columns, film
from glotclip.data.encodings import read_text
from glotclip.data.markers import is_missing, marker_of
from glotclip.data.schema import (
    Corpus,
    Row,
    SkippedItem,
    check_row,
    check_share,
    fill_english,
    known_language,
    write_bad_rows,
)
from glotclip.data.tables import Found, from_json_lines, from_table
from glotclip.errors import DataError
from glotclip.languages import resolve

__all__ = ["check_share", "read", "read_text", "write_bad_rows"]

_TABLES = {".csv": False, ".tsv": True, ".tab": True}
_JSON_LINES = (".jsonl", ".ndjson")


@dataclass
class Tally:
    """What is counted while rows are read.

    Attributes:
        markers: how often each marker of a missing value was met in which field.
        notes: sentences about the whole file.
        divided: whether any row names a split.
    """

    markers: Counter[tuple[str, str]] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    divided: bool = False

    def said(self) -> tuple[str, ...]:
        """The notes, and one more about cells taken as empty."""
        if not self.markers:
            return tuple(self.notes)
        by_marker: dict[str, list[str]] = {}
        for (name, marker), count in self.markers.most_common():
            by_marker.setdefault(marker, []).append(f"{name} {count:,}")
        shown = "; ".join(f"{marker!r} in {', '.join(fields)}" for marker, fields in by_marker.items())
        total = self.markers.total()
        what = f"{total:,} cells are" if total > 1 else "1 cell is"
        return (*self.notes, f"{what} taken as empty, being marks of missing values: {shown}")


def read(
    path: Path,
    *,
    default_lang: str | None = None,
    images: Path | None = None,
    encoding: str | None = None,
    name: str | None = None,
) -> Corpus:
    """Read captions from a file or folder.

    A row in another language without English takes the English row of its group or picture, and a row's
    ``translations`` become rows of their own; see :func:`finish`.

    Args:
        path: a ``.csv``, ``.tsv`` or ``.jsonl`` file, plain or ``.gz``; or a folder with captions beside the
            pictures, see :mod:`glotclip.data.sidecars`.
        default_lang: language of rows, or caption files, that do not say theirs.
        images: the folder that relative picture and video paths start from; ``None``: that of the file.
        encoding: of the file or files; see :func:`glotclip.data.encodings.read_text`.
        name: what the corpus is called; ``None``: the file's name.

    Raises:
        LanguageError: if ``default_lang`` is not a language code.
        ConfigError: if there is no such encoding.
        DataError: if the file is absent, of an unknown kind or another encoding, or lacks a needed column; or if
            there is no folder ``images``.
    """
    default_lang = None if default_lang is None else known_language(default_lang)
    if images is not None and not images.is_dir():
        raise DataError(f"{images} is not a folder", hint="name the folder of the pictures with --images")
    if path.is_dir():
        from glotclip.data.sidecars import read_folder

        return read_folder(path, default_lang=default_lang, images=images, encoding=encoding, name=name)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else (suffixes or [""])[-1]
    tally = Tally()
    found: Iterable[Found]
    if kind in _TABLES:
        text = read_text(path, encoding)
        found = from_table(text, path, default_lang, tally.notes.append, tabs=_TABLES[kind])
    elif kind in _JSON_LINES:
        found = from_json_lines(read_text(path, encoding), path, default_lang, tally.notes.append)
    elif kind == ".txt" and _has_header(text := read_text(path, encoding)):
        found = from_table(text, path, default_lang, tally.notes.append, tabs=True)
    else:
        raise DataError(
            f"{path} is not a kind of caption file that is known",
            hint="give a .csv, .tsv or .jsonl file (also .gz), or a folder of pictures with .txt files beside them",
        )
    rows, bad = collect(
        found, where=str(path), default_lang=default_lang, root=path.parent, images=images, tally=tally
    )
    return corpus_of(name or path.name, rows, bad, tally)


def _has_header(text: str) -> bool:
    """Whether a text begins with the header of a table with tabs."""
    first = text.partition("\n")[0].split("\t")
    return len(first) > 1 and any(columns.field_of(header) == "text" for header in first)


def collect(
    found: Iterable[Found],
    *,
    where: str,
    default_lang: str | None,
    root: Path,
    images: Path | None = None,
    tally: Tally | None = None,
) -> tuple[list[Row], list[SkippedItem]]:
    """Check rows as found, and part the good from the bad.

    Args:
        found: the rows.
        where: the file they come from.
        default_lang: of rows that do not say theirs.
        root: the folder that relative paths start from.
        images: the folder where they start instead, or lie without the folders of their paths.
        tally: counts what the rows hold.
    """
    rows: list[Row] = []
    bad: list[SkippedItem] = []
    tally = tally or Tally()
    for line, fields in found:
        if isinstance(fields, str):
            bad.append(SkippedItem(where, line, fields))
            continue
        try:
            row = _row(fields, default_lang, tally)
            if images is not None:
                row = replace(row, image=_placed(row.image, images), video=_placed(row.video, images))
            rows.append(check_row(row, root=root))
        except DataError as error:
            bad.append(SkippedItem(where, line, error.message))
    return rows, bad


def corpus_of(name: str, rows: Iterable[Row], bad: Iterable[SkippedItem], tally: Tally) -> Corpus:
    """Make a corpus of rows as collected: translations spread, English filled in, what was met told in its notes."""
    rows = list(rows)
    langs = dict.fromkeys(row.lang for row in rows)
    english = resolve("en", langs)
    if english not in (None, "en"):
        rows = [replace(row, lang="en", english=None) if row.lang == english else row for row in rows]
        tally.notes.append(f"rows in {english} are taken as English")
    return Corpus(name, finish(rows), tuple(bad), notes=tally.said(), divided=tally.divided)


def finish(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Add a row for every translation a row carries, then fill in English captions from the same group.

    A translation takes over picture, split and group, and the English caption if that is known. One that
    stands in a row of its own already is not added again.
    """
    rows = list(rows)
    there = {(row.key, row.lang, row.text) for row in rows}
    spread: list[Row] = []
    for row in rows:
        spread.append(row)
        english = row.text if row.lang == "en" else row.english
        for lang, text in row.translations.items():
            if (row.key, lang, text) not in there:
                known = None if lang == "en" else english
                spread.append(Row(text, lang, row.image, row.video, known, {}, row.split, row.group))
    return fill_english(spread)


def _row(fields: Mapping[str, Any], default_lang: str | None, tally: Tally) -> Row:
    """Build an unchecked row; a field of the wrong type is a :class:`DataError`."""
    translations = None if _missing(fields.get("translations"), "translations", tally) else fields["translations"]
    if isinstance(translations, str):
        try:
            translations = json.loads(translations)
        except (ValueError, RecursionError) as error:
            raise DataError(f"translations are not valid JSON ({error})", hint="write a JSON object") from error
    if translations is not None and not isinstance(translations, dict):
        raise DataError("translations are not an object of language codes and texts", hint='write {"de": "…"}')
    image, video = _string(fields, "image", tally), _string(fields, "video", tally)
    if image and not video and image.lower().endswith(film.SUFFIXES):
        image, video = None, image  # a column called path or file_name may hold either
    lang = _string(fields, "lang", tally) or default_lang
    if lang is None:
        marked = f": {written!r} marks a missing value" if (written := fields.get("lang")) else ""
        raise DataError(
            f"the row does not say its language{marked}",
            hint="fill in the lang column, or say it for all (--default-lang de)",
        )
    split = _string(fields, "split", tally)
    tally.divided |= split is not None
    spoken = (
        {code: _string(translations, code, tally, "translations") for code in translations} if translations else {}
    )
    return Row(
        text=_string(fields, "text", tally) or "",
        lang=lang,
        image=Path(image) if image else None,
        video=Path(video) if video else None,
        english=_string(fields, "english", tally),
        translations={code: text for code, text in spoken.items() if text is not None},
        split=split or "train",
        group=_string(fields, "group", tally),
        to_english=_string(fields, "to_english", tally),
        from_english=_string(fields, "from_english", tally),
    )


def _string(fields: Mapping[str, Any], name: str, tally: Tally, counted: str | None = None) -> str | None:
    """Return a field as text, ``None`` where it is missing; whole numbers (ids) are taken as written.

    A marker of a missing text stays as it is written: the reason why the row is bad shall name it.
    """
    value = fields.get(name)
    if _missing(value, counted or name, tally):
        return value if name == "text" and isinstance(value, str) else None
    if name == "group" and isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
        return str(int(value))
    if not isinstance(value, str):
        raise DataError(f"{name} is not a text but {type(value).__name__}", hint="write it in quotation marks")
    return value if name == "text" else value.replace("\ufeff", "").strip()


def _missing(value: Any, name: str, tally: Tally) -> bool:
    """Whether a field is missing; markers of that are counted."""
    if not is_missing(value):
        return False
    if isinstance(value, str) and (marker := marker_of(value)) is not None:
        tally.markers[name, marker] += 1
    return True


def _placed(path: Path | None, images: Path) -> Path | None:
    """Return where a file lies below ``images``: by its path or, without the folders of that, by its name."""
    if path is None:
        return None
    try:
        return next((place for place in (images / path, images / path.name) if place.is_file()), images / path)
    except (OSError, ValueError):  # an impossible name, which is told when the row is checked
        return path
