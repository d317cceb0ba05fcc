"""Tables as lines of fields: CSV and TSV with whatever separator, and JSON lines; what a column is, by its header."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from glotclip.data.encodings import split_lines
from glotclip.data.rows import ParsedRow
from glotclip.errors import DataError, nearest

#: Field → the headers it goes by, the first being ours. Upper and lower case, blanks and ``-`` do not matter.
SYNONYMS = {
    "text": ("text", "caption", "sentence", "title", "description", "alt_text"),
    "image": ("image", "image_path", "image_file", "image_name", "img", "file_name", "filename", "filepath", "path"),
    "video": ("video", "video_path", "video_file"),
    "lang": ("lang", "language", "language_code", "lang_code", "locale"),
    "english": ("english", "en", "english_text", "english_caption", "text_en", "caption_en"),
    "split": ("split", "subset", "partition"),
    "group": ("group", "group_id", "image_id", "concept"),
    "translations": ("translations",),
    "to_english": ("to_english",),
    "from_english": ("from_english",),
}
#: Columns that say where a row came from; `glotclip translate` writes the first.
ASIDE = frozenset({"engine"})
_SHOWN = 20
#: Takes a sentence that should be said of the file.
Note = Callable[[str], None]
_SEPARATORS = (",", ";", "\t", "|")
_LONGEST = 2**31 - 1


def from_table(text: str, path: Path, default_lang: str | None, note: Note, *, tabs: bool) -> Iterator[ParsedRow]:
    """Yield the rows of CSV or TSV text, separated by whatever gives the header most columns that are known.

    Args:
        text: of the file.
        path: what errors name.
        default_lang: of rows that do not say theirs.
        note: is told which columns are not used.
        tabs: whether the file's name says TSV.

    Raises:
        DataError: if the header lacks a needed column, or a quotation mark stays open.
    """
    separator = _separator(text, tabs=tabs)
    reader = _reader(text, separator, tabs=tabs)
    try:
        headers: list[str] = next(reader, [])
    except csv.Error as error:
        raise DataError(f"{path}: the header cannot be read ({error})", hint="correct the first line") from error
    place = assign_columns(headers, where=str(path), default_lang=default_lang)
    for said in unused_columns(headers):
        note(said)
    plain = tabs and separator == "\t"
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
        if plain:
            cells = [_unquoted(cell) for cell in cells]
        if not any(cell.strip() for cell in cells):
            continue  # blank lines are layout
        if len(cells) != len(headers):
            yield line, f"the row has {len(cells)} columns, the header {len(headers)}"
            continue
        yield line, {field: cells[at] for field, at in place.items()}


def _separator(text: str, *, tabs: bool) -> str:
    """Return what separates columns: the usual sign, unless another gives the header more columns that are known."""
    usual = "\t" if tabs else ","

    def known(separator: str) -> tuple[int, bool]:
        try:
            headers: list[str] = next(_reader(text, separator, tabs=tabs), [])
        except csv.Error:
            return 0, separator == usual
        return len({field_of(header) for header in headers} - {None}), separator == usual

    return max(_SEPARATORS, key=known)


def _reader(text: str, separator: str, *, tabs: bool) -> Any:
    """Return a ``csv.reader``."""
    stream = io.StringIO(text, newline="")
    # Python's own limit of 131,072 letters a cell ends a row in its middle: what follows would be read as rows.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
    if tabs and separator == "\t":
        # TSV knows no quoting: a caption may begin with a quotation mark and never close it.
        return csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
    return csv.reader(stream, delimiter=separator, strict=True)


def _unquoted(cell: str) -> str:
    """Undo the quoting that some programs write into TSV all the same: outer marks, and doubled inner ones."""
    inner = cell[1:-1]
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell


def from_json_lines(text: str, path: Path, default_lang: str | None, note: Note) -> list[ParsedRow]:
    """Return the objects of JSON lines; a needed field that no object has is a missing column.

    Args:
        text: of the file.
        path: what errors name.
        default_lang: of rows that do not say theirs.
        note: is told which keys are not used.

    Raises:
        DataError: if no object has a needed field.
    """
    parsed: list[ParsedRow] = []
    headers: dict[str, None] = {}
    second: dict[str, str] = {}
    for line, content in enumerate(split_lines(text), start=1):
        if not content.strip():
            continue
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:  # also a number of more digits than Python reads
            parsed.append((line, f"the line is not valid JSON ({error})"))
            continue
        if not isinstance(value, dict):
            parsed.append((line, "the line is not a JSON object"))
            continue
        headers |= dict.fromkeys(value)
        fields: dict[str, Any] = {}
        for header, entry in value.items():
            field = field_of(header)
            if field in fields:
                second.setdefault(header, field)
            elif field is not None:
                fields[field] = entry
        parsed.append((line, fields))
    if headers:
        assign_columns(list(headers), where=str(path), default_lang=default_lang)
    for said in unused_columns([header for header in headers if field_of(header) is None]):
        note(said)
    for header, field in second.items():
        note(f"the key {header!r} is not used in lines where another key comes first that also means {field!r}")
    return parsed


def field_of(header: str) -> str | None:
    """Return the field that a header names, or ``None``."""
    name = _plain(header)
    return next((field for field, names in SYNONYMS.items() if name in names), None)


def unused_columns(headers: Sequence[str]) -> list[str]:
    """Return what should be said of the columns that are not read: unknown ones, and second ones of one meaning."""
    fields = [field_of(header) for header in headers]
    unknown = [_shown(header) for header, field in zip(headers, fields, strict=True)
               if field is None and _plain(header) not in ASIDE]  # fmt: skip
    notes = []
    if unknown := list(dict.fromkeys(unknown)):
        notes.append(f"columns not used, since nothing is known by these names: {_listed(unknown)}")
    for place, (header, field) in enumerate(zip(headers, fields, strict=True)):
        if field is not None and (first := fields.index(field)) < place:
            notes.append(
                f"column {place + 1}, {_shown(header)!r}, is not used: {field!r} is read from column {first + 1}, "
                f"{_shown(headers[first])!r}"
            )
    return notes


def assign_columns(headers: Sequence[str], *, where: str, default_lang: str | None) -> dict[str, int]:
    """Return the column of each field that ``headers`` name; the first of several wins.

    Raises:
        DataError: if there is no text column, or no language column and no ``default_lang``; the message lists
            the columns found and the ones needed.
    """
    columns: dict[str, int] = {}
    for place, header in enumerate(headers):
        field = field_of(header)
        if field is not None:
            columns.setdefault(field, place)
    needed = ["text"] if default_lang else ["text", "lang"]
    missing = [field for field in needed if field not in columns]
    if missing:
        raise _missing_columns(missing, headers, where)
    return columns


def _missing_columns(missing: Sequence[str], found: Sequence[str], where: str) -> DataError:
    """Return the error that names what is missing, what is there, and what was probably meant."""
    guesses = []
    for field in missing:
        lower = {header.strip().lower(): header for header in found}
        close = [match for name in SYNONYMS[field] if (match := nearest(name, lower)) is not None]
        if close:
            guesses.append(f"did you mean {lower[close[0]].strip()!r} for {field!r}?")
    also = [f"{field}: also {', '.join(SYNONYMS[field][1:4])}" for field in missing]
    hint = " ".join([*guesses, f"needed: {', '.join(missing)} ({'; '.join(also)})"])
    if "lang" in missing:
        hint += "; or say the language of the whole file (--default-lang de)"
    return DataError(f"{where} has no column {', '.join(map(repr, missing))}; found: {_listed(found)}", hint=hint)


def _listed(headers: Sequence[str]) -> str:
    more = f" and {len(headers) - _SHOWN} more" if len(headers) > _SHOWN else ""
    return ", ".join(map(_shown, headers[:_SHOWN])) + more if headers else "none"


def _shown(header: str) -> str:
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in header.strip())[:40] or "(empty)"


def _plain(header: str) -> str:
    return header.replace("\ufeff", "").strip().lower().replace(" ", "_").replace("-", "_")
