"""Tables of results as plain text and Markdown, aligned in every script, for reports and the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
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
    widths, (head, *rows) = _aligned([list(table.columns), *table.texts()], table.numeric())
    lines = ["  ".join(cells).rstrip() for cells in (head, ["─" * width for width in widths], *rows)]
    return "\n".join([*([table.title] if table.title else []), *lines, *([table.note] if table.note else [])]) + "\n"


def markdown(table: Table) -> str:
    """Return the table as aligned GitHub Markdown, without its title; whatever the cells hold stays text."""
    numeric = table.numeric()
    texts = [[escape_markdown(cell) for cell in row] for row in [table.columns, *table.texts()]]
    widths, (head, *rows) = _aligned(texts, numeric, least=3)
    rule = ["-" * (w - 1) + ":" if n else "-" * w for w, n in zip(widths, numeric, strict=True)]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
    return "\n".join([*lines, *(["", escape_markdown(table.note)] if table.note else [])]) + "\n"


def escape_markdown(text: str) -> str:
    """Escape what Markdown would read as markup; an underscore inside a word is none and stays readable."""
    one_line = " ".join(text.split())
    escaped = re.sub(r"([\\`*\[\]|~])", r"\\\1", one_line).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)


def _text(cell: Cell, digits: int) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return MISSING
    if isinstance(cell, float):
        shown = f"{cell:.{digits}f}"
        return shown.removeprefix("-") if float(shown) == 0 else shown  # "-0.0" would say something was lost
    return str(cell)


def _aligned(
    rows: Sequence[Sequence[str]], numeric: Sequence[bool], *, least: int = 0
) -> tuple[list[int], list[list[str]]]:
    """Widths of the columns, and the cells padded to them; columns of numbers to the right."""
    from rich.cells import cell_len  # East Asian wide signs take two columns, combining marks none

    widths = [max(least, *map(cell_len, column)) for column in zip(*rows, strict=True)]

    def pad(cell: str, width: int, right: bool) -> str:
        space = " " * (width - cell_len(cell))
        return space + cell if right else cell + space

    return widths, [[pad(*each) for each in zip(row, widths, numeric, strict=True)] for row in rows]
