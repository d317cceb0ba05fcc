from __future__ import annotations

import resource
import zipfile
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from glotclip.data.dataset import open_dataset
from glotclip.data.dictionaries import sources
from glotclip.data.sources.caption_files import CaptionFiles
from glotclip.data.sources.word_list import WordLists
from glotclip.errors import DataError, LanguageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

LINES = ["Hund\tdog", "Katze\tcat; kitty", "Vogel\tbird (animal)", "Haus\thouse", "Sonne\t<b>sun</b>"]


def test_a_list_is_read_and_what_is_dropped_told(desk: Desk) -> None:
    data = open_dataset(desk.lines("deu-eng.tsv", LINES))
    assert isinstance(data, WordLists) and data.languages() == ["de"]
    found = [(row.text, row.english) for row in data.corpus(["de"]).rows]
    assert found[:3] == [("Hund", "dog"), ("Katze", "cat"), ("Katze", "kitty")] and found[-1] == ("Sonne", "sun")
    notes = data.notes(["de"])
    assert "HTML tags 2" in notes[0] and "remarks in brackets 1" in notes[0]
    assert "6 pairs are too few to learn de" in notes[1]
    assert data.licences(["de"])[0].licence == "unknown (yours)"


def test_a_table_of_captions_stays_one(desk: Desk) -> None:
    for header in ("text\tlang", "caption\tenglish", "lang\ttext\timage"):
        assert not WordLists.recognises(str(desk.lines("captions.tsv", [header, "Hund\tde\tx"])))
    assert isinstance(open_dataset(desk.lines("captions.tsv", ["text\tlang", "Hund\tde"])), CaptionFiles)
    assert not WordLists.recognises(str(desk.lines("one.txt", ["a caption of one column", "and one more of these"])))


def test_manythings_archive_is_opened_as_it_comes(desk: Desk) -> None:
    with zipfile.ZipFile(desk.root.parent / "deu-eng.zip", "w") as archive:
        archive.writestr(
            "deu.txt", "Go to the house.\tGeh ins Haus.\tCC-BY 2.0 (France) Attribution: tatoeba.org #1\n" * 3
        )
        archive.writestr("_about.txt", "About")
    data = open_dataset(desk.root.parent / "deu-eng.zip")
    (row,) = data.corpus(["de"]).rows
    assert (row.text, row.english) == ("Geh ins Haus.", "Go to the house.")
    assert data.licences(["de"])[0].licence == "CC-BY-2.0-FR"


def test_texts_in_another_script_are_refused_by_what_they_are(desk: Desk) -> None:
    lines = [f"{text}\tdog of the house" for text in ("собака", "дом", "кошка", "солнце")]
    with pytest.raises(LanguageError, match="that should be de are not: fewer than half the letters"):
        open_dataset(desk.lines("deu-eng.tsv", lines)).corpus(["de"])


def test_texts_in_another_language_are_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("py3langid")
    monkeypatch.setattr(sources, "_ENOUGH_TO_GUESS", 60)
    french = desk.captions("fr")
    lines = [
        f"{text} {one} {two}\ta dog sleeps on the red sofa {one} {two}"
        for text in french
        for one in "abc"
        for two in "defg"
    ]
    with pytest.raises(LanguageError, match="that should be de are not: looks like fr"):
        open_dataset(desk.lines("mine.tsv", lines), default_lang="de").corpus(["de"])
    assert len(open_dataset(desk.lines("mine.tsv", lines), default_lang="fr").corpus(["fr"])) == len(lines)


def test_a_damaged_file_is_told(desk: Desk) -> None:
    path = desk.bytes("deu-eng.tsv", "\n".join(LINES * 20).encode() + b"\ncaf\xe9\tcoffee\n")
    with pytest.raises(DataError, match="is not UTF-8"):
        open_dataset(path, encoding="utf-8").corpus(["de"])
    assert open_dataset(path, encoding="cp1252").corpus(["de"]).rows[-1].text == "café"


@pytest.mark.slow
def test_a_large_file_is_streamed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds for two gigabytes is seen at a hundred megabytes: memory follows what is kept, not the file."""
    monkeypatch.setattr(WordLists, "most_pairs", 20_000)
    path = desk.root.parent / "deu-eng.tsv"
    filler = "und das Haus am Ende der Straße ist so schön wie kein anderes, weil es alt und rot ist"
    english = "and the house at the end of the street is as nice as no other because it is old and red"
    with path.open("w", encoding="utf-8") as out:
        for number in range(400_000):
            out.write(f"Das ist ein Satz {number} {filler}\tThis is sentence {number} {english}\n")
    size = path.stat().st_size
    with path.open(encoding="utf-8") as lines:
        few = desk.lines("deu-eng.tsv", [line.rstrip("\n") for line in islice(lines, 20_000)])
    open_dataset(few).corpus(["de"])  # what is loaded once, whatever the file
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = open_dataset(path)
    corpus = data.corpus(["de"])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert len(corpus) == 20_000 and any("of 400,000 pairs 20,000 are used" in note for note in corpus.notes)
    assert size > 80_000_000 and grown < size / 2
