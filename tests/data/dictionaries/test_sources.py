"""Sources of pairs read together: each pair once, what is turned round and dropped told, wrong languages refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.dictionaries.cleaning import Cleaner, Pair
from glotclip.data.dictionaries.sources import check_language, check_sides, read_sources
from glotclip.data.licences import Licence
from glotclip.data.schema import Corpus, Row
from glotclip.errors import LanguageError


@dataclass
class Listed:
    """A source of pairs that are given."""

    name: str
    lang: str
    entries: list[Pair]
    turned: bool = False
    terms: Licence = field(default_factory=lambda: Licence("words", "CC0-1.0", "nowhere"))

    def pairs(self, cleaner: Cleaner) -> Iterator[Pair]:
        for text, english in self.entries:
            yield from cleaner.pairs([text], [english])

    def licence(self) -> Licence:
        return self.terms


WORDS = st.text("abcdefgh", min_size=2, max_size=6).map(lambda text: f"x{text}")
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=12)


@given(PAIRS, PAIRS, PAIRS)
def test_each_pair_of_a_language_comes_once(one: list[Pair], two: list[Pair], other: list[Pair]) -> None:
    corpus = read_sources(
        "all", [Listed("1", "de", one), Listed("2", "de", two, turned=True), Listed("3", "fr", other)]
    )
    for lang, expected in (("de", [*one, *two]), ("fr", other)):
        rows = [(row.text, row.english) for row in corpus.rows if row.lang == lang]
        assert rows == list(dict.fromkeys(expected))
    assert "2 goes from English into de; it is turned round" in corpus.notes
    assert [note for note in corpus.notes if note.startswith("1, 2: ")]


def test_what_was_dropped_is_told() -> None:
    corpus = read_sources(
        "sw", [Listed("sw", "sw", [("viti", "Plural of : chair"), ("vitu", "Plural of"), ("kiti", "chair")])]
    )
    assert [(row.text, row.english) for row in corpus.rows] == [("viti", "chair"), ("kiti", "chair")]
    assert "cross references and notes 1" in corpus.notes[0]


@pytest.mark.parametrize("sides", [("en", "en-GB"), ("de", "fr")])
def test_one_side_is_english(sides: tuple[str, str]) -> None:
    with pytest.raises(LanguageError, match="one side must be English"):
        check_sides("words.tsv", sides)
    check_sides("words.tsv", ("de", "en"))
    check_sides("words.tsv", ("en-US", "de"))


def test_texts_in_another_script_than_they_claim_are_refused() -> None:
    rows = tuple(Row(text, "ru", None, None, "dog", {}) for text in ("Hund", "Katze", "Maus", "Haus"))
    with pytest.raises(LanguageError, match=r"the texts of words\.tsv that should be ru are not"):
        check_language(Corpus("x", rows, (), "CC0-1.0"), "words.tsv")
    cyrillic = tuple(Row(text, "ru", None, None, "dog", {}) for text in ("собака", "кошка", "мышь", "дом"))
    check_language(Corpus("x", cyrillic, (), "CC0-1.0"), "words.tsv")
