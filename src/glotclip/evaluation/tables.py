"""Tables of results as plain text and Markdown, aligned in every script, for reports and the command line."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Cell = str | int | float | None
MISSING = "–"


@dataclass(frozen=True)
class Table:
    """Named columns and rows of cells. Floats are shown with ``digits`` decimals, None and NaN as a dash."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    note: str = ""
    digits: int = 1

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells in a table of {len(self.columns)} columns: {row}")

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Cell]], *, title: str = "", note: str = "", digits: int = 1) -> Table:
        """Make a table of records; columns in the order in which their names first appear."""
        columns = tuple(dict.fromkeys(name for record in records for name in record))
        rows = tuple(tuple(record.get(name) for name in columns) for record in records)
        return cls(columns, rows, title, note, digits)

    def texts(self) -> list[list[str]]:
        """All cells as they are shown."""
        return [[_text(cell, self.digits) for cell in row] for row in self.rows]

    def numeric(self) -> list[bool]:
        """Which columns hold numbers and nothing else, and so are aligned to the right."""
        columns = [[row[c] for row in self.rows if row[c] is not None] for c in range(len(self.columns))]
        return [bool(cells) and all(isinstance(cell, int | float) for cell in cells) for cells in columns]


def plain(table: Table) -> str:
    """Return the table for a terminal: two spaces between columns, a line under the head."""
    lines = _aligned([list(table.columns), *table.texts()], table.numeric())
    rule = "  ".join("─" * width for width in _widths([list(table.columns), *table.texts()]))
    body = [line.rstrip() for line in ("  ".join(cells) for cells in lines)]
    return "\n".join([*([table.title] if table.title else []), body[0], rule, *body[1:], *_note(table.note)]) + "\n"


def markdown(table: Table) -> str:
    """Return the table as aligned GitHub Markdown, without its title; whatever the cells hold stays text."""
    head = [escape_markdown(name) for name in table.columns]
    rows = [head, *([escape_markdown(cell) for cell in row] for row in table.texts())]
    numeric = table.numeric()
    widths = [max(3, width) for width in _widths(rows)]
    lines = ["| " + " | ".join(cells) + " |" for cells in _aligned(rows, numeric, widths)]
    rule = ["-" * (w - 1) + ":" if n else "-" * w for w, n in zip(widths, numeric, strict=True)]
    note = ["", escape_markdown(table.note)] if table.note else []
    return "\n".join([lines[0], "| " + " | ".join(rule) + " |", *lines[1:], *note]) + "\n"


def escape_markdown(text: str) -> str:
    """Escape what Markdown would read as markup; an underscore inside a word is none and stays readable."""
    one_line = " ".join(text.split())
    escaped = re.sub(r"([\\`*\[\]|~])", r"\\\1", one_line).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)


def width(text: str) -> int:
    """Columns that a text takes in a terminal: East Asian wide signs take two, combining marks and controls none."""
    return sum(_sign_width(sign) for sign in text)


def _sign_width(sign: str) -> int:
    if unicodedata.category(sign) in ("Mn", "Me", "Cf", "Cc"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in ("W", "F") else 1


def _text(cell: Cell, digits: int) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return MISSING
    if isinstance(cell, float):
        shown = f"{cell:.{digits}f}"
        return shown.removeprefix("-") if float(shown) == 0 else shown  # "-0.0" would say something was lost
    return str(cell)


def _note(note: str) -> list[str]:
    return [note] if note else []


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(width(cell) for cell in column) for column in zip(*rows, strict=True)]


def _aligned(
    rows: Sequence[Sequence[str]], numeric: Sequence[bool], widths: Iterable[int] | None = None
) -> list[list[str]]:
    sizes = list(widths) if widths is not None else _widths(rows)
    return [[_pad(cell, w, n) for cell, w, n in zip(row, sizes, numeric, strict=True)] for row in rows]


def _pad(cell: str, size: int, right: bool) -> str:
    space = " " * (size - width(cell))
    return space + cell if right else cell + space
