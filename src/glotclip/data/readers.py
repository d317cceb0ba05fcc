"""Caption files of every usual kind become one :class:`~glotclip.data.schema.Corpus`.

- ``.csv``, ``.tsv``, ``.jsonl`` (each also ``.gz``): columns by header, see :mod:`glotclip.data.columns`;
- a folder of pictures, each with captions beside it, one a line: ``photo.txt`` or ``photo.de.txt``.

A row that cannot be used never ends the reading: it is listed with line and reason in ``corpus.bad``, and
:func:`~glotclip.data.schema.check_share` says when there are too many.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from glotclip.data import columns, film
from glotclip.data.schema import (
    BadRow,
    Corpus,
    Row,
    check_row,
    check_share,
    fill_english,
    known_language,
    write_bad_rows,
)
from glotclip.errors import DataError

__all__ = ["check_share", "read", "read_text", "write_bad_rows"]

#: One row as found: its line, and its fields or the reason why there are none.
Found = tuple[int, dict[str, Any] | str]


def read(
    path: Path, *, default_lang: str | None = None, images: Path | None = None, name: str | None = None
) -> Corpus:
    """Read captions from a file or folder.

    A row in another language without English takes the English row of its group or picture, and a row's
    ``translations`` become rows of their own; see :func:`finish`.

    Args:
        path: a ``.csv``, ``.tsv`` or ``.jsonl`` file, plain or ``.gz``, in UTF-8; or a folder with captions
            beside the pictures, see :mod:`glotclip.data.sidecars`.
        default_lang: language of rows, or caption files, that do not say theirs.
        images: the folder that relative picture and video paths start from; ``None``: that of the file.
        name: what the corpus is called; ``None``: the file's name.

    Raises:
        LanguageError: if ``default_lang`` is not a language code.
        DataError: if the file is absent, of an unknown kind, not UTF-8, or lacks a needed column.
    """
    default_lang = None if default_lang is None else known_language(default_lang)
    if path.is_dir():
        from glotclip.data.sidecars import read_folder

        return read_folder(path, default_lang=default_lang, name=name)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else (suffixes or [""])[-1]
    if kind in (".csv", ".tsv"):
        found: Iterable[Found] = _from_table(read_text(path), path, default_lang, tabs=kind == ".tsv")
    elif kind in (".jsonl", ".ndjson"):
        found = _from_json_lines(read_text(path), path, default_lang)
    else:
        raise DataError(
            f"{path} is not a kind of caption file that is known",
            hint="give a .csv, .tsv or .jsonl file (also .gz), or a folder of pictures with .txt files beside them",
        )
    rows, bad = collect(found, where=str(path), default_lang=default_lang, root=images or path.parent)
    return Corpus(name or path.name, finish(rows), tuple(bad))


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, plain or ``.gz``, without byte-order mark.

    Raises:
        DataError: if it is absent, damaged, or not UTF-8; the message names the line.
    """
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", hint="check the path") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error})", hint="fetch or pack it anew") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})", hint="check its permissions") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "not UTF-8"
        raise DataError(
            f"{path} is {what}: line {line} holds the byte 0x{content[error.start]:02x}",
            hint="save it as UTF-8 (in a spreadsheet: “CSV UTF-8”)",
        ) from error


def collect(
    found: Iterable[Found], *, where: str, default_lang: str | None, root: Path
) -> tuple[list[Row], list[BadRow]]:
    """Check rows as found, and part the good from the bad."""
    rows: list[Row] = []
    bad: list[BadRow] = []
    for line, fields in found:
        if isinstance(fields, str):
            bad.append(BadRow(where, line, fields))
            continue
        try:
            rows.append(check_row(_row(fields, default_lang), root=root))
        except DataError as error:
            bad.append(BadRow(where, line, error.message))
    return rows, bad


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


def _from_table(text: str, path: Path, default_lang: str | None, *, tabs: bool) -> Iterator[Found]:
    """Yield the rows of CSV or TSV text; commas or semicolons, whichever the header has."""
    header_line = text.partition("\n")[0]
    semicolons = "," not in header_line and ";" in header_line
    stream = io.StringIO(text, newline="")
    if tabs:
        # TSV knows no quoting: a caption may begin with a quotation mark and never close it.
        reader = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(stream, delimiter=";" if semicolons else ",", strict=True)
    try:
        headers = next(reader, [])
    except csv.Error as error:
        raise DataError(f"{path}: the header cannot be read ({error})", hint="correct the first line") from error
    place = columns.assign(headers, where=str(path), default_lang=default_lang)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if reader.line_num > line:
                raise DataError(
                    f"{path}: the quotation mark opened in line {line} is not closed as it should be",
                    hint='close it; inside a quoted caption write "" for a quotation mark',
                ) from error
            yield line, f"the line is not valid CSV ({error})"
            continue
        if not any(cell.strip() for cell in cells):
            continue  # blank lines are layout
        if len(cells) != len(headers):
            yield line, f"the row has {len(cells)} columns, the header {len(headers)}"
            continue
        yield line, {field: _unquoted(cells[at]) if tabs else cells[at] for field, at in place.items()}


def _unquoted(cell: str) -> str:
    """Undo the quoting that some programs write into TSV all the same: outer marks, and doubled inner ones."""
    inner = cell[1:-1]
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell


def _from_json_lines(text: str, path: Path, default_lang: str | None) -> list[Found]:
    """Return the objects of JSON lines; a needed field that no object has is a missing column."""
    found: list[Found] = []
    headers: dict[str, None] = {}
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            value = json.loads(content)
        except (json.JSONDecodeError, RecursionError) as error:
            found.append((line, f"the line is not valid JSON ({error})"))
            continue
        if not isinstance(value, dict):
            found.append((line, "the line is not a JSON object"))
            continue
        headers |= dict.fromkeys(value)
        fields: dict[str, Any] = {}
        for header, entry in value.items():
            field = columns.field_of(header)
            if field is not None:
                fields.setdefault(field, entry)
        found.append((line, fields))
    if headers:
        columns.assign(list(headers), where=str(path), default_lang=default_lang)
    return found


def _row(fields: Mapping[str, Any], default_lang: str | None) -> Row:
    """Build an unchecked row; a field of the wrong type is a :class:`DataError`."""
    translations = fields.get("translations") or {}
    if isinstance(translations, str):
        try:
            translations = json.loads(translations)
        except json.JSONDecodeError as error:
            raise DataError(f"translations are not valid JSON ({error})", hint="write a JSON object") from error
    if not isinstance(translations, dict):
        raise DataError("translations are not an object of language codes and texts", hint='write {"de": "…"}')
    image, video = _string(fields, "image"), _string(fields, "video")
    if image and not video and image.lower().endswith(film.SUFFIXES):
        image, video = None, image  # a column called path or file_name may hold either
    lang = _string(fields, "lang") or default_lang
    if lang is None:
        raise DataError("the row does not say its language", hint="fill in the lang column, or set default_lang")
    return Row(
        text=_string(fields, "text") or "",
        lang=lang,
        image=Path(image) if image else None,
        video=Path(video) if video else None,
        english=_string(fields, "english"),
        translations={code: _string(translations, code) or "" for code in translations},
        split=_string(fields, "split") or "train",
        group=_string(fields, "group"),
    )


def _string(fields: Mapping[str, Any], name: str) -> str | None:
    """Return a field as text, ``None`` where it is absent or blank; whole numbers (ids) are taken as written."""
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and name == "group":
        return str(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise DataError(f"{name} is not a text but {type(value).__name__}", hint="write it in quotation marks")
    return value if name == "text" else value.strip()
