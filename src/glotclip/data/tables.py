"""Tables as lines of fields: CSV and TSV with whatever separator, and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from glotclip.data import columns
from glotclip.data.encodings import split_lines
from glotclip.errors import DataError

#: One row as found: its line, and its fields or the reason why there are none.
Found = tuple[int, dict[str, Any] | str]
#: Takes a sentence that should be said of the file.
Note = Callable[[str], None]
_SEPARATORS = (",", ";", "\t", "|")
_LONGEST = 2**31 - 1


def from_table(text: str, path: Path, default_lang: str | None, note: Note, *, tabs: bool) -> Iterator[Found]:
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
    place = columns.assign(headers, where=str(path), default_lang=default_lang)
    for said in columns.unused(headers):
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
        return len({columns.field_of(header) for header in headers} - {None}), separator == usual

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


def from_json_lines(text: str, path: Path, default_lang: str | None, note: Note) -> list[Found]:
    """Return the objects of JSON lines; a needed field that no object has is a missing column.

    Args:
        text: of the file.
        path: what errors name.
        default_lang: of rows that do not say theirs.
        note: is told which keys are not used.

    Raises:
        DataError: if no object has a needed field.
    """
    found: list[Found] = []
    headers: dict[str, None] = {}
    second: dict[str, str] = {}
    for line, content in enumerate(split_lines(text), start=1):
        if not content.strip():
            continue
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:  # also a number of more digits than Python reads
            found.append((line, f"the line is not valid JSON ({error})"))
            continue
        if not isinstance(value, dict):
            found.append((line, "the line is not a JSON object"))
            continue
        headers |= dict.fromkeys(value)
        fields: dict[str, Any] = {}
        for header, entry in value.items():
            field = columns.field_of(header)
            if field in fields:
                second.setdefault(header, field)
            elif field is not None:
                fields[field] = entry
        found.append((line, fields))
    if headers:
        columns.assign(list(headers), where=str(path), default_lang=default_lang)
    for said in columns.unused([header for header in headers if columns.field_of(header) is None]):
        note(said)
    for header, field in second.items():
        note(f"the key {header!r} is not used in lines where another key comes first that also means {field!r}")
    return found
