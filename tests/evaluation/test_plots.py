"""Plots are well-formed SVG that holds the names as text and takes its colours from the page."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET

import pytest

from glotclip.errors import MissingExtraError
from glotclip.evaluation import plots
from glotclip.evaluation.plots import Curves, HeatMap

SVG = "{http://www.w3.org/2000/svg}"
CURVES = Curves("R & D", ("base", "हिन्दी", "$x$"), {"_plain": [1.0, None, 2.0], "<TEIR>": [3.0, 2.5, 2.0]})
HEAT = HeatMap("map", ("base", "de"), ("en", "de", "العربية"), ((40.0, None, None), (38.5, 20.25, 0.0)))


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter(f"{SVG}text")]


def test_curves_name_every_line_and_step() -> None:
    svg = CURVES.svg()
    assert {"_plain", "<TEIR>", "base", "हिन्दी", "$x$", "R@1 (%)"} <= set(texts(svg))
    assert 'aria-label="R &amp; D"' in svg


def test_a_heat_map_writes_every_measured_value_and_nothing_else() -> None:
    shown = texts(HEAT.svg())
    assert [text for text in shown if "." in text] == ["40.0", "38.5", "20.2", "0.0"]
    assert {"base", "en", "العربية"} <= set(shown)


def test_a_heat_map_without_any_value_is_drawn() -> None:
    assert texts(HeatMap("empty", ("base",), ("en",), ((None,),)).svg()) == ["en", "base"]


@pytest.mark.parametrize("plot", [CURVES, HEAT])
def test_colours_come_from_the_page_and_nothing_is_fetched(plot: Curves | HeatMap) -> None:
    svg = plot.svg()
    assert "var(--ink)" in svg
    assert not [colour for colour in plots.VARIABLES if colour in svg]
    assert {part.split("/")[0] for part in svg.split("http://")[1:]} <= {"www.w3.org"}
    assert "https://" not in svg


def test_the_same_plot_gives_the_same_bytes() -> None:
    assert CURVES.svg() == CURVES.svg()


def test_more_lines_than_colours_still_differ() -> None:
    many = Curves("many", ("a", "b"), {f"run {i}": [float(i), float(i)] for i in range(8)})
    svg = many.svg()
    assert "stroke-dasharray" in svg
    assert {f"run {i}" for i in range(8)} <= set(texts(svg))


def test_the_numbers_of_a_plot_are_also_a_table() -> None:
    assert CURVES.table().rows == (("base", 1.0, 3.0), ("हिन्दी", None, 2.5), ("$x$", 2.0, 2.0))
    assert HEAT.table().rows == (("base", 40.0, None, None), ("de", 38.5, 20.25, 0.0))


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not plots.available()
    with pytest.raises(MissingExtraError, match=r"glotclip\[report\]"):
        CURVES.svg()
