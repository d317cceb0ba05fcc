"""Rows of one code serve a language asked for under another, and it is said once."""

from __future__ import annotations

from pathlib import Path

import pytest

from glotclip.data.dataset import open_dataset
from glotclip.data.schema import Corpus, Row
from glotclip.data.serving import serve
from glotclip.errors import LanguageError
from glotclip.languages import normalise_all


@pytest.mark.parametrize(
    ("have", "asked", "serves"),
    [
        (["zh-CN"], "zh", "zh-CN"),
        (["de-AT"], "de", "de-AT"),
        (["de"], "de-AT", "de"),
        (["pt-BR"], "pt", "pt-BR"),
        (["pt", "pt-BR"], "pt", "pt"),
        (["pt-PT", "pt-BR"], "pt", "pt-BR"),
        (["zh-Hant", "zh-CN"], "zh", "zh-CN"),
        (["he"], "iw", "he"),
        (["zh-TW"], "zh", None),
        (["nl"], "de", None),
    ],
)
def test_a_table_serves_by_likely_subtags(tmp_path: Path, have: list[str], asked: str, serves: str | None) -> None:
    path = tmp_path / "c.csv"
    path.write_text("text,lang,english\n" + "".join(f"Text in {code},{code},a text\n" for code in have))
    (code,) = normalise_all(asked)
    dataset = open_dataset(path)
    if serves is None:
        with pytest.raises(LanguageError, match="no captions in"):
            dataset.corpus([code])
        return
    rows = [row for row in dataset.corpus([code]).rows if row.lang == code]
    assert [row.text for row in rows] == [f"Text in {serves}"]
    told = [note for note in dataset.notes([code]) if "serve" in note]
    assert told == ([] if serves == code else [f"rows in {serves} serve {code}"])


def test_rows_asked_for_under_both_codes_are_there_twice() -> None:
    corpus = Corpus("c", (Row("Jänner", "de"), Row("mouse", "en"), Row("souris", "fr")))
    assert [(row.lang, row.text) for row in serve(corpus, ["de-AT"]).rows] == [
        ("en", "mouse"),
        ("fr", "souris"),
        ("de-AT", "Jänner"),
    ]
    assert [row.lang for row in serve(corpus, ["de", "de-AT"]).rows] == ["de", "en", "fr", "de-AT"]
    assert serve(corpus, ["de"]) is corpus


def test_english_under_another_code_is_the_partner(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("text,lang,group\na dog,en-US,1\nein Hund,de,1\n")
    dataset = open_dataset(path)
    rows = dataset.corpus(["de"]).rows
    assert [(row.lang, row.english) for row in rows] == [("en", None), ("de", "a dog")]
    assert "rows in en-US are taken as English" in dataset.notes(["de"])
    assert [row.lang for row in dataset.corpus(["en-US"]).rows] == ["de", "en-US"]


def test_held_out_rows_are_served_as_well(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"x")
    path = tmp_path / "c.csv"
    path.write_text("image,text,lang,split\n1.png,狗,zh-CN,test\n1.png,chien,fr,test\n")
    assert [each.text for each in open_dataset(path).benchmark(["zh", "fr"]).captions["zh"]] == ["狗"]
