from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from glotclip.data.dataset import open_dataset
from glotclip.data.sources.dictionary_files import PanLexFolder, TeiFile, TmxFile, WiktextractFile
from glotclip.errors import ConfigError, LanguageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

UNIT = "<tu><tuv xml:lang='en'><seg>A dog.</seg></tuv><tuv xml:lang='{lang}'><seg>{text}</seg></tuv></tu>"


def test_tei_is_known_by_its_ending_or_its_content(desk: Desk) -> None:
    entry = (
        "<entry><form><orth>Hund</orth></form><sense><cit type='trans' xml:lang='en'><quote>dog</quote></cit></sense>"
    )
    head = '<?xml version="1.0"?>\n<TEI xmlns="http://www.tei-c.org/ns/1.0"><text><body xml:lang="de">'
    text = f"{head}{entry}</entry></body></text></TEI>"
    for name in ("a.tei", "b.xml", "c.tei.gz"):
        path = desk.lines(name, [text])
        data = open_dataset(path)
        assert isinstance(data, TeiFile) and [(row.text, row.english) for row in data.corpus(["de"]).rows] == [
            ("Hund", "dog")
        ]
    assert not TeiFile.recognises(str(desk.lines("d.xml", ["<other/>"])))


def test_a_translation_memory_opens_plain_and_packed(desk: Desk) -> None:
    body = UNIT.format(lang="de", text="Ein Hund.") * 3 + UNIT.format(lang="fr", text="Un chien.")
    path = desk.lines("a.tmx", [f"<tmx><body>{body}</body></tmx>"])
    with zipfile.ZipFile(desk.root / "a.tmx.zip", "w") as archive:
        archive.write(path, "a.tmx")
    for each in (path, desk.root / "a.tmx.zip"):
        data = open_dataset(each)
        assert isinstance(data, TmxFile) and data.languages() == ["de", "fr"]
        assert [row.text for row in data.corpus(["de", "fr"]).rows] == ["Ein Hund.", "Un chien."]
        with pytest.raises(LanguageError, match="has no captions in fi") as caught:
            data.corpus(["fi"])
        assert "de, fr" in caught.value.hint


def test_wiktextract_is_told_from_captions_and_found_beyond_its_beginning(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glotclip.data.dictionaries.wiktextract.LOOKED_AT", 1)
    entries = [
        {"word": word, "lang_code": code, "senses": [{"glosses": ["dog"]}]}
        for word, code in (("Hund", "de"), ("chien", "fr"))
    ]
    data = open_dataset(desk.lines("all.jsonl", [json.dumps(each) for each in entries]))
    assert isinstance(data, WiktextractFile) and data.languages() == ["de"]
    assert [row.text for row in data.corpus(["fr"]).rows] == ["chien"]
    assert data.licences(["fr"])[0].licence == "CC-BY-SA-4.0"
    with pytest.raises(ConfigError, match="--default-lang has no meaning"):
        open_dataset(desk.root / "all.jsonl", default_lang="de")


def test_panlex_opens_as_a_folder_or_packed(desk: Desk) -> None:
    desk.lines("langvar.csv", ["id,lang_code", "1,eng", "2,deu"])
    desk.lines("expr.csv", ["id,langvar,txt", "10,1,dog", "11,2,Hund"])
    desk.lines("denotation.csv", ["id,meaning,expr", "1,5,11", "2,5,10"])
    with zipfile.ZipFile(desk.root.parent / "panlex.zip", "w") as archive:
        for path in desk.root.iterdir():
            archive.write(path, f"panlex/{path.name}")
    for each in (desk.root, desk.root.parent / "panlex.zip"):
        data = open_dataset(each)
        assert isinstance(data, PanLexFolder) and data.languages() == ["de"]
        assert [(row.text, row.english) for row in data.corpus(["de"]).rows] == [("Hund", "dog")]
        assert data.licences(["de"])[0].licence == "CC0-1.0"
