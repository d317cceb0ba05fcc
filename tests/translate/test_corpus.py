"""Files of captions into files of captions: texts, tables, and one into the other."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from glotclip.data import readers
from glotclip.errors import DataError, LanguageError
from glotclip.translate.corpus import check_file, translate_file
from glotclip.translate.engine import BatchEngine
from glotclip.translate.translator import Translator


class Marking(BatchEngine):
    """Answers with the text and the target."""

    name = "marking"
    version = "7"

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        return [text if text == "pizza" else f"{text}, {target}" for text in texts]


@pytest.fixture
def translator(tmp_path: Path) -> Translator:
    return Translator(Marking(), tmp_path / "cache")


def test_text_to_text_keeps_lines_and_empty_lines(translator: Translator, tmp_path: Path) -> None:
    (tmp_path / "in.en.gz").write_bytes(gzip.compress(b"a dog\n\npizza\na cat\n"))
    made = translate_file(tmp_path / "in.en.gz", tmp_path / "out.de.gz", translator, "en", "de")
    assert gzip.decompress((tmp_path / "out.de.gz").read_bytes()).decode() == "a dog, de\n\npizza\na cat, de\n"
    assert (made.captions, made.empty_lines, made.unchanged, made.cached) == (3, 1, 1, 0)
    assert made.first[0] == ("a dog", "a dog, de")
    assert check_file(tmp_path / "in.en.gz", tmp_path / "out.de.gz", "en", "de") == 3
    assert translate_file(tmp_path / "in.en.gz", tmp_path / "o.txt", translator, "en", "de").cached == 3


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "csv.gz"])
def test_a_table_becomes_rows_to_train_on(translator: Translator, tmp_path: Path, drawn: Path, kind: str) -> None:
    out = drawn.parent / f"translated.{kind}"
    translate_file(drawn, out, translator, "en", "es")
    before = [row for row in readers.read(drawn).rows if row.lang == "en"]
    after = readers.read(out)
    assert not after.skipped
    assert [(row.text, row.english) for row in after.rows] == [(f"{row.text}, es", row.text) for row in before]
    assert {row.lang for row in after.rows} == {"es"}
    assert [(row.image, row.split) for row in after.rows] == [(row.image, row.split) for row in before]
    assert check_file(drawn, out, "en", "es") == len(before)
    out.unlink()


def test_into_english_from_a_table(translator: Translator, tmp_path: Path) -> None:
    rows = [
        {"text": "ein Hund", "lang": "de", "english": "a dog", "group": "1"},
        {"text": "un chien", "lang": "fr", "group": "1"},
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    translate_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", translator, "de", "en")
    (record,) = map(json.loads, (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines())
    assert record == {
        "text": "ein Hund, en", "lang": "en", "split": "train", "group": "1", "engine": "marking 7",
    }  # fmt: skip
    translate_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", translator, "de", "fr")
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))["english"] == "a dog"


def test_a_text_becomes_a_table_and_a_table_a_text(translator: Translator, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text('say "a", b\n\nc\n', encoding="utf-8")
    made = translate_file(tmp_path / "in.txt", tmp_path / "out.csv", translator, "en", "de")
    assert made.empty_lines == 1
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        first, second = csv.DictReader(stream)
    assert first == {
        "text": 'say "a", b, de', "lang": "de", "english": 'say "a", b', "split": "train", "engine": "marking 7",
    }  # fmt: skip
    assert second["english"] == "c"
    assert check_file(tmp_path / "in.txt", tmp_path / "out.csv", "en", "de") == 2
    translate_file(tmp_path / "out.csv", tmp_path / "back.txt", translator, "de", "fr")
    assert (tmp_path / "back.txt").read_text(encoding="utf-8") == 'say "a", b, de, fr\nc, de, fr\n'


def test_rows_that_cannot_be_used_are_listed(translator: Translator, tmp_path: Path) -> None:
    lines = ["text,lang", *["a,en"] * 30, ",en"]
    (tmp_path / "in.csv").write_text("\n".join(lines), encoding="utf-8")
    made = translate_file(tmp_path / "in.csv", tmp_path / "out.csv", translator, "en", "de")
    assert [bad.line for bad in made.skipped] == [32]
    (tmp_path / "in.csv").write_text("text,lang\na,en\n,en\n", encoding="utf-8")
    with pytest.raises(DataError, match="1 of 2 rows"):
        translate_file(tmp_path / "in.csv", tmp_path / "out.csv", translator, "en", "de")


def test_nothing_is_written_where_something_is_wrong(translator: Translator, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    (tmp_path / "empty.txt").write_text("\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no captions"):
        translate_file(tmp_path / "empty.txt", out, translator, "en", "de")
    (tmp_path / "in.csv").write_text("text,lang\na,fr\n", encoding="utf-8")
    with pytest.raises(LanguageError, match="no captions in 'en'"):
        translate_file(tmp_path / "in.csv", out, translator, "en", "de")
    assert not out.exists()


def test_the_check_finds_what_is_missing(translator: Translator, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a\nb\n\n", encoding="utf-8")
    translate_file(tmp_path / "in.txt", tmp_path / "out.txt", translator, "en", "de")
    (tmp_path / "out.txt").write_text("a, de\n\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="caption 2 of"):
        check_file(tmp_path / "in.txt", tmp_path / "out.txt", "en", "de")
    (tmp_path / "out.txt").write_text("a, de\nb, de\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"has 3 captions, .* has 2"):
        check_file(tmp_path / "in.txt", tmp_path / "out.txt", "en", "de")
