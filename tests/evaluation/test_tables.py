"""Tables line up in every script and never turn cells into markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from glotclip.evaluation.tables import Table, markdown, plain

TABLE = Table(("language", "R@1", "note"), (("Deutsch", 12.345, "a|b"), ("日本語", 3, None), ("हिन्दी", None, "*x*")))


def test_plain_table_for_a_terminal() -> None:
    assert plain(TABLE).splitlines() == [
        "language   R@1  note",
        "────────  ────  ────",
        "Deutsch   12.3  a|b",
        "日本語       3  –",
        "हिन्दी          –  *x*",
    ]


def test_markdown_table_is_aligned_and_escaped() -> None:
    assert markdown(TABLE).splitlines() == [
        "| language |  R@1 | note  |",
        "| -------- | ---: | ----- |",
        "| Deutsch  | 12.3 | a\\|b  |",
        "| 日本語   |    3 | –     |",
        "| हिन्दी      |    – | \\*x\\* |",
    ]


@given(st.lists(st.tuples(st.text(max_size=12), st.none() | st.floats(-100, 100), st.integers()), max_size=5))
def test_every_line_of_a_markdown_table_is_as_wide(rows: list[tuple[str, float | None, int]]) -> None:
    lines = markdown(Table(("name", "score", "count"), tuple(rows))).removesuffix("\n").split("\n")
    assert len(lines) == 2 + len(rows)
    assert len({cell_len(line) for line in lines}) == 1
    assert all(line.replace("\\\\", "").replace("\\|", "").count("|") == 4 for line in lines)


def test_records_give_columns_in_the_order_they_appear() -> None:
    table = Table.of([{"a": 1, "b": 2.0}, {"c": "x", "a": 3}])
    assert table.columns == ("a", "b", "c")
    assert table.rows == ((1, 2.0, None), (3, None, "x"))
    assert table.numeric() == [True, True, False]


def test_numbers_are_rounded_without_a_negative_zero_and_missing_ones_are_a_dash() -> None:
    table = Table(("x",), ((-0.04,), (-0.06,), (float("nan"),), (None,), (2.0,)))
    assert table.texts() == [["0.0"], ["-0.1"], ["–"], ["–"], ["2.0"]]


def test_underscores_escape_only_where_they_are_markup() -> None:
    assert "text_to_image" in markdown(Table(("text_to_image",), ()))
    assert "\\_x\\_ &lt;b>" in markdown(Table(("_x_ <b>",), ()))


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="1 cells in a table of 2 columns"):
        Table(("a", "b"), (("only",),))
