"""The report of a run: what it says, that it stands alone, and that nothing in a name becomes markup."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glotclip.data.benchmark import Benchmark
from glotclip.data.schema import Caption
from glotclip.evaluation import report
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.plots import Curves
from glotclip.evaluation.retrieval import evaluate

VOID = {"meta", "path", "use", "rect"}


class Page(HTMLParser):
    """Checks that elements close in order, and keeps the text, the tags and what would be fetched."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.fetched: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


class OneHot:
    """Encodes a text as the picture whose number it is."""

    def encode_text(self, texts: Sequence[str], lang: str) -> Any:
        return np.eye(3)[[int(text) for text in texts]]


def run() -> dict[str, Any]:
    base = AccuracyMatrix.begin({"en": 40.0})
    plain = base.after("de", {"en": 35.0, "de": 20.0}).after("hi", {"en": 33.0, "de": 15.0, "hi": 12.0})
    kept = base.after("de", {"en": 40.0, "de": 21.0}).after("hi", {"en": 40.0, "de": 21.0, "hi": 13.0})
    benchmark = Benchmark(
        "three",
        tuple(Path(f"{i}.png") for i in range(3)),
        {lang: [Caption(str(i), i) for i in range(3)] for lang in ("en", "de")},
        {"seen": np.array([True, False, True])},
        "three pictures, two languages",
    )
    return {
        "title": "Ten languages <b>in</b> order",
        "summary": "A run.",
        "matrices": {"plain": plain, "kept": kept},
        "results": {"three": evaluate(OneHot(), benchmark, image_features=np.eye(3))},
        "rows": [{"query": "कुत्ता", "hits": 3}, {"query": "<script>alert(1)</script>", "hits": 0}],
        "settings": {"steps": 50, "teir": {"rows": True}, "langs": ["de", "hi"]},
    }


def test_markdown_says_what_was_learnt_and_forgotten() -> None:
    text = report.markdown(report.from_run(**run()))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "# Ten languages &lt;b>in&lt;/b> order"
    assert "| plain | 20.0 | 24.0 | 6.0 | -6.0 | 40.0 | 33.0 |" in lines
    assert "| kept | 24.7 | 24.7 | 0.0 | 0.0 | 40.0 | 40.0 |" in lines
    assert "| de | 20.0 | 15.0 | -5.0 | 21.0 | 21.0 | 0.0 |" in lines
    assert "| hi | 20.0 | 24.7 |" in lines  # the curve of averages, as numbers
    assert "| hi | 33.0 | 15.0 | 12.0 |" in lines  # the heat map, as numbers
    assert "| teir.rows | True |" in lines
    assert "three pictures, two languages" in lines
    assert any(line.startswith("| en | 100.0 | 100.0–100.0 |") for line in lines)


def test_the_page_is_well_formed_stands_alone_and_escapes() -> None:
    page = report.html_page(report.from_run(**run()))
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.tags.count("svg") == 2 + 2  # average and English over tasks, one heat map a run
    assert all(target.startswith("#") for target in parsed.fetched)
    assert not {"script", "link", "img", "iframe", "b"} & set(parsed.tags)
    assert {"<script>alert(1)</script>", "कुत्ता", "Ten languages <b>in</b> order"} <= set(parsed.text)
    assert "prefers-color-scheme: dark" in page


def test_without_matplotlib_the_page_says_so_and_shows_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    parsed = Page(report.html_page(report.from_run(**run())))
    assert "svg" not in parsed.tags
    assert report.NO_PLOTS in parsed.text
    rules = [line for line in report.markdown(report.from_run(**run())).splitlines() if line.startswith("| --")]
    assert parsed.tags.count("table") == len(rules)


def test_writing_replaces_both_files_and_leaves_nothing_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path / "cache"))
    first = report.write(report.Report("one", ()), tmp_path / "new")
    second = report.write(report.from_run(**run()), tmp_path / "new")
    assert first == second == (tmp_path / "new" / "report.md", tmp_path / "new" / "report.html")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["report.html", "report.md"]
    assert "Ten languages" in second[1].read_text(encoding="utf-8")


def test_runs_in_another_order_are_compared_by_number_of_task() -> None:
    base = AccuracyMatrix.begin({"en": 40.0})
    one = base.after("de", {"en": 39.0, "de": 9.0}).after("fr", {"en": 38.0, "de": 9.0, "fr": 8.0})
    other = base.after("fr", {"en": 39.0, "fr": 9.0})
    sections = report.from_run(matrices={"one": one, "other": other}).sections
    curve = sections[1].blocks[1]
    assert isinstance(curve, Curves)
    assert curve.steps == ("0", "1", "2")
    assert dict(curve.lines) == {"one": (40.0, 39.0, 38.0), "other": (40.0, 39.0, None)}


def test_scores_that_were_not_measured_leave_gaps() -> None:
    matrix = AccuracyMatrix.begin({}).after("de", {"de": 20.0}).after("fr", {"en": 30.0, "de": 19.0, "fr": 8.0})
    text = report.markdown(report.from_run(matrices={"run": matrix}))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "| run | 19.0 | – | – | – | – | 30.0 |" in lines
    assert "| en | – | 30.0 | – |" in lines


def test_rivals_stand_beside_the_model_also_where_they_win() -> None:
    def of(known: float, whole: float, **more: Any) -> dict[str, Any]:
        part = {"r@1": whole, "r@5": whole, "r@10": whole}
        subset = {"text_to_image": {"r@1": known, "n_queries": 7}, "image_to_text": {"r@1": known}}
        scores = {"text_to_image": part, "image_to_text": part, "mean_recall": whole, "subsets": {"known": subset}}
        return {**scores, **more}

    english = {"model": "base in English", "languages": {"en": of(0.0, 90.0, subsets={})}}
    rival = {"model": "words.tsv as dictionary", "languages": {"de": of(60.0, 50.0), "fr": of(40.0, 30.0)}}
    result = {
        "languages": {"de": of(70.0, 40.0), "fr": of(50.0, 20.0)},
        "average": of(60.0, 30.0),
        "disparity": {"reference": "en"},
        "text_subsets": ["known"],
        "rivals": {"English": english, "dictionary": rival},
    }
    (section,) = report.from_run(results={"photos": result}).sections
    table = section.tables[0]
    assert [row[:3] for row in table.rows] == [
        ("en", "English", 90.0),
        ("de", "model", 40.0),
        ("de", "dictionary", 50.0),
        ("fr", "model", 20.0),
        ("fr", "dictionary", 30.0),
        ("average", "model", 30.0),
        ("average", "dictionary", 40.0),
    ]
    known = [row[table.columns.index("known T→I R@1")] for row in table.rows]
    assert known == [None, 70.0, 60.0, 50.0, 40.0, 60.0, 50.0]
    assert [row[table.columns.index("known texts")] for row in table.rows] == [None, 7, 7, 7, 7, None, None]
    assert "dictionary: words.tsv as dictionary." in table.note
