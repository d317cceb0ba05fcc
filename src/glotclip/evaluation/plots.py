"""Curves over tasks and heat maps as inline SVG that follows the page's colours, light or dark.

matplotlib draws with placeholder colours; they are then replaced by the CSS variables of ``report.html``. Text
stays text, so the reader's browser sets it in a font that has the script.
"""

from __future__ import annotations

import html
import importlib.util
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glotclip.errors import require
from glotclip.evaluation.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID = "#010203", "#010204"
SERIES = tuple(f"#01030{i}" for i in range(6))
VARIABLES = {INK: "var(--ink)", GRID: "var(--grid)", **{c: f"var(--series-{i})" for i, c in enumerate(SERIES)}}
DASHES = ("-", "--", ":", "-.")
MARKERS = "osD^vX"


@dataclass(frozen=True)
class Curves:
    """Lines over common steps; None where a line has no value. ``unit`` labels the y axis."""

    title: str
    steps: tuple[str, ...]
    lines: Mapping[str, Sequence[float | None]]
    unit: str = "R@1 (%)"
    note: str = ""

    def table(self) -> Table:
        """The same numbers, a row a step."""
        rows = tuple((step, *(line[i] for line in self.lines.values())) for i, step in enumerate(self.steps))
        return Table(("after", *self.lines), rows, self.title, self.note)

    def svg(self) -> str:
        """Draw the lines."""
        size = (7.2 + 0.12 * max(0, len(self.steps) - 12), 3.4 + 0.2 * max(0, len(self.lines) - 8))
        return _svg(self.title, size, self._draw)

    def _draw(self, figure: Figure) -> None:
        axes = figure.add_subplot()
        handles = []
        for i, line in enumerate(self.lines.values()):
            values = [float("nan") if value is None else value for value in line]
            look: dict[str, Any] = {
                "color": SERIES[i % len(SERIES)],
                "marker": MARKERS[i % len(MARKERS)],
                "linestyle": DASHES[i // len(SERIES) % len(DASHES)],
                "markevery": max(1, len(self.steps) // 12),  # closer ones would hide the dashes
            }
            handles += axes.plot(values, markersize=4, linewidth=1.8, **look)
        axes.set_xticks(range(len(self.steps)), self.steps)
        if sum(len(step) for step in self.steps) > 70:  # level names would run into each other
            for label in axes.get_xticklabels():
                label.set(rotation=35, ha="right")
        axes.set_ylabel(self.unit)
        axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if len(self.lines) > 1:
            axes.legend(handles, list(self.lines), frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))


@dataclass(frozen=True)
class HeatMap:
    """A matrix of values with named rows and columns; None where nothing was measured.

    ``head`` is what stands over the names of the rows.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    note: str = ""
    head: str = "after"

    def table(self) -> Table:
        """The same numbers as a table."""
        rows = tuple((name, *row) for name, row in zip(self.rows, self.values, strict=True))
        return Table((self.head, *self.columns), rows, self.title, self.note)

    def svg(self) -> str:
        """Draw the matrix, every cell with its number."""
        size = (1.4 + 0.07 * max(map(len, self.rows)) + 0.52 * len(self.columns), 0.7 + 0.34 * len(self.rows))
        return _svg(self.title, size, self._draw)

    def _draw(self, figure: Figure) -> None:
        import numpy as np

        axes: Axes = figure.add_subplot()
        matrix = np.array([[np.nan if value is None else value for value in row] for row in self.values], dtype=float)
        shown = np.ma.masked_invalid(matrix)
        mesh = axes.pcolormesh(
            shown,
            cmap="cividis",
            vmin=min(float(shown.min()), 0.0) if shown.count() else 0,
            vmax=max(float(shown.max()), 1.0) if shown.count() else 1,
        )
        axes.invert_yaxis()
        axes.set_xticks(np.arange(len(self.columns)) + 0.5, self.columns)
        axes.set_yticks(np.arange(len(self.rows)) + 0.5, self.rows)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        for (r, c), value in np.ndenumerate(matrix):
            if np.isfinite(value):
                red, green, blue, _ = mesh.cmap(mesh.norm(value))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                ink = "white" if dark else "black"
                axes.text(c + 0.5, r + 0.5, f"{value:.1f}", ha="center", va="center", fontsize=8, color=ink)


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def _svg(title: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """Draw into a figure of ``size`` inches and return one ``<svg>`` element for an HTML page."""
    matplotlib: Any = require("matplotlib", extra="report", purpose="drawing plots")
    from matplotlib.figure import Figure

    settings = {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": title,  # the same plot gives the same ids, so reports can be compared
        "text.parse_math": False,  # a name may hold a dollar sign
        "font.size": 9,
        **{f"{part}.color": INK for part in ("text", "xtick", "ytick")},
        **{f"axes.{part}": INK for part in ("edgecolor", "labelcolor")},
    }
    stream = io.StringIO()
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # matplotlib's own font is used for measuring only; the browser draws.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        figure = Figure(figsize=size)
        draw(figure)
        figure.savefig(stream, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)
