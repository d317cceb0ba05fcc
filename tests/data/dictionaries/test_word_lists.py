from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.dictionaries.cleaning import Cleaner
from glotclip.data.dictionaries.word_lists import WordList, is_list, separator_of
from glotclip.data.streaming import TextFile
from glotclip.errors import DataError, LanguageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

WORDS = [("Hund", "dog"), ("Katze", "cat"), ("Vogel", "bird"), ("Haus", "house"), ("Sonne", "sun")]


@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize(
    ("name", "swapped"), [("deu-eng.txt", False), ("en-de.txt", True), ("de-en.tsv", True), ("de.txt", False)]
)
def test_which_column_is_english_is_seen_in_the_texts(desk: Desk, name: str, swapped: bool, separator: str) -> None:
    lines = [separator.join((b, a) if swapped else (a, b)) for a, b in WORDS]
    found = WordList(TextFile(desk.lines(name, lines)))
    assert (found.lang, found.turned) == ("de", swapped)
    assert list(found.pairs(Cleaner())) == WORDS


def test_a_header_of_codes_says_the_columns(desk: Desk) -> None:
    file = TextFile(desk.lines("words.tsv", ["en\tsw", "xyz\tabc", "uvw\tdef"]))
    assert is_list(file)
    assert list(WordList(file).pairs(Cleaner())) == [("abc", "xyz"), ("def", "uvw")]


def test_sentences_stay_whole_and_tatoeba_is_recognised(desk: Desk) -> None:
    credit = "CC-BY 2.0 (France) Attribution: tatoeba.org #1 (CM)"
    lines = [
        f"I have a dog, a cat.\tIch habe einen Hund, eine Katze.\t{credit}",
        f"It is the house of a friend.\tEs ist das Haus (rot).\t{credit}",
    ]
    found = WordList(TextFile(desk.lines("deu.txt", lines)))
    assert found.layout.sentences and not found.turned
    assert next(iter(found.pairs(Cleaner()))) == ("Ich habe einen Hund, eine Katze.", "I have a dog, a cat.")
    assert found.licence().licence == "CC-BY-2.0-FR"


def test_what_cannot_be_told_is_asked_for(desk: Desk) -> None:
    lines = [f"{a}\t{b}" for a, b in WORDS]
    with pytest.raises(DataError, match="does not say its language"):
        _ = WordList(TextFile(desk.lines("words.tsv", lines))).layout
    assert WordList(TextFile(desk.lines("words.tsv", lines)), "de").lang == "de"
    with pytest.raises(LanguageError, match="is of de and fr"):
        _ = WordList(TextFile(desk.lines("deu-fra.tsv", lines))).layout
    with pytest.raises(DataError, match=r"no column of .* is English"):
        lines = [f"{a}\t{b}" for a, b in (("Hund", "chien"), ("Katze", "chatte"), ("Vogel", "oiseau"))]
        _ = WordList(TextFile(desk.lines("words.tsv", lines)), "de").layout


def test_one_english_word_that_is_not_known_does_not_turn_a_list_round(desk: Desk) -> None:
    lines = [f"Wort{number}\tthingamajig" for number in range(300)]
    found = WordList(TextFile(desk.lines("deu-eng.tsv", lines)))
    assert (found.layout.text, found.layout.english) == (0, 1)


def test_lines_without_two_columns_are_counted(desk: Desk) -> None:
    cleaner = Cleaner()
    file = TextFile(desk.lines("deu-eng.tsv", [*(f"{a}\t{b}" for a, b in WORDS), "allein", "", "\t"]))
    assert list(WordList(file).pairs(cleaner)) == WORDS
    assert cleaner.dropped["lines without two columns"] == 1


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(categories=["L"]), min_size=1, max_size=8)] * 2), min_size=1, max_size=9
    )
)
def test_the_separator_is_found(rows: list[tuple[str, str]]) -> None:
    assert separator_of(["\t".join(row) for row in rows]) == "\t"
    assert separator_of([" ".join(row) for row in rows]) == ""
    assert separator_of(["".join(row) for row in rows]) is None
