"""Empty markers are empty in every column and every reader, and are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glotclip.data import readers
from glotclip.data.dataset import open_dataset
from glotclip.data.markers import MARKERS, is_missing, marker_of
from glotclip.data.schema import Row, check_row
from glotclip.errors import DataError

KIN = ["NaN", "nan", "null", "NULL", "None", "none", "N/A", "n/a", "#N/A", "NA", "<NA>", "NIL", "undefined", "\\N"]
KIN += ["-", "–", "…", "#VALUE!", " NaN ", "ＮＵＬＬ", "nUlL", "(null)", "?", ".", "#REF!"]
WORDS = ["None of them moves", "Nullpunkt", "nie", "nanny", "n", "a", "0", "no", "NaN bread", "Nadel", "–5 °C", "狗"]


@pytest.mark.parametrize("marker", KIN)
def test_a_marker_is_no_caption(marker: str, tmp_path: Path) -> None:
    assert is_missing(marker)
    for name, header, line in (
        ("c.csv", "text,lang", f'"{marker}",de'),
        ("c.tsv", "text\tlang", f"{marker}\tde"),
        ("c.jsonl", "", json.dumps({"text": marker, "lang": "de"})),
    ):
        path = tmp_path / name
        good = json.dumps({"text": "ein Hund", "lang": "de"}) if not header else line.replace(marker, "ein Hund")
        path.write_text("\n".join(filter(None, [header, line, good])) + "\n", encoding="utf-8")
        corpus = readers.read(path)
        assert [row.text for row in corpus.rows] == ["ein Hund"]
        (item,) = corpus.skipped
        assert marker.strip()[-1] in item.reason or "marks a missing value" in item.reason
        assert any("taken as empty" in note and marker.strip() in note for note in corpus.notes)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_none(word: str) -> None:
    assert not is_missing(word)
    assert marker_of(word) is None


def test_markers_are_markers_in_every_case() -> None:
    for marker in MARKERS:
        assert all(
            is_missing(each) for each in (marker, marker.upper(), marker.title(), f"\t{marker} ", f"\ufeff{marker}")
        )
    assert all(is_missing(each) for each in (None, float("nan"), "", " \n"))
    others: list[object] = [0, 0.0, False, float("inf"), [], {}]
    assert not any(is_missing(each) for each in others)


@pytest.mark.parametrize("marker", ["NaN", "null", "None", "N/A"])
@pytest.mark.parametrize(
    "column", ["english", "image", "video", "split", "group", "translations", "to_english", "lang"]
)
def test_a_marker_is_empty_in_every_column(column: str, marker: str, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(f"text,{column}\nein Hund,{marker}\n", encoding="utf-8")
    corpus = readers.read(path, default_lang="de")
    assert corpus.rows == (Row("ein Hund", "de"),)
    assert corpus.skipped == ()
    assert any(f"{marker!r} in {column} 1" in note for note in corpus.notes)
    path = tmp_path / "c.jsonl"
    for value in (json.dumps(marker), "null", "NaN"):
        path.write_text(f'{{"text": "ein Hund", "{column}": {value}}}\n', encoding="utf-8")
        assert readers.read(path, default_lang="de").rows == (Row("ein Hund", "de"),)


def test_a_row_without_language_says_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("text,lang\nein Hund,nan\nchhiū-kâu,zh-min-nan\nein Hund,de\n", encoding="utf-8")
    corpus = readers.read(path)
    assert [row.lang for row in corpus.rows] == ["nan", "de"]  # Min Nan Chinese, spelt so that it can be told apart
    assert "'nan' marks a missing value" in corpus.skipped[0].reason


def test_missing_translations_do_not_spoil_a_row(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    entry = {"text": "ein Hund", "lang": "de", "translations": {"fr": "NaN", "es": None, "it": "un cane", "nl": ""}}
    path.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    corpus = readers.read(path)
    assert [(row.lang, row.text) for row in corpus.rows] == [("de", "ein Hund"), ("it", "un cane")]


def test_in_sidecars(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.de.txt").write_text("ein Hund\nNaN\nnull\n", encoding="utf-8")
    corpus = readers.read(tmp_path)
    assert [row.text for row in corpus.rows] == ["ein Hund"]
    assert [item.line for item in corpus.skipped] == [2, 3]


def test_in_lists_of_videos(tmp_path: Path) -> None:
    entry = {"id": "1", "path": "1.mp4", "captions": {"en": ["a dog", "NaN"], "de": ["None", None], "fr": "null"}}
    (tmp_path / "films.jsonl").write_text(json.dumps(entry) + "\n", encoding="utf-8")
    corpus = open_dataset(tmp_path / "films.jsonl").corpus(["en"])
    assert [row.text for row in corpus.rows] == ["a dog"]
    assert sum("the text is empty" in item.reason for item in corpus.skipped) == 4


def test_in_rows_of_any_reader() -> None:
    """Corpora and sets of videos build rows of their own; all pass the same check."""
    with pytest.raises(DataError, match="'NaN' marks a missing value"):
        check_row(Row("NaN", "de"))
    row = check_row(Row("ein Hund", "de", english="None", to_english="n/a", from_english="NULL"))
    assert (row.english, row.to_english, row.from_english) == (None, None, None)
