"""Glossaries of packs: what is found in them, what they keep, and what a query becomes by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.dictionary import Dictionary
from glotclip.errors import PackError
from glotclip.packs.glossary import FILE, MOST_PIECES, Glossary, fused

GERMAN = [("Hahn", "cock"), ("Hahn", "faucet"), ("rot", "red"), ("arm", "poor"), ("Arm", "arm")]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=12), TEXT)
def test_a_glossary_reads_as_the_dictionary_of_the_same_pairs(pairs: list[tuple[str, str]], asked: str) -> None:
    few = [(text, english) for text, english in pairs if len(english.split()) <= 5]
    glossary, book = Glossary.of("de", pairs, 100), Dictionary(few)
    glossary = glossary.joined(Glossary.of("fr", [(asked, "another language")], 9))
    texts = [asked, *(text for text, _ in pairs)]
    for found, text in zip(glossary.readings(texts, "de"), texts, strict=True):
        assert found == (book.readings(text, MOST_PIECES) or found)
        assert found in (book.readings(text, MOST_PIECES), [text])
    assert Glossary().joined(glossary).only({"de"}).block == Glossary.of("de", pairs, 100).block


def test_the_shortest_entries_are_kept_and_no_sentences() -> None:
    pairs = [*GERMAN, ("Feuerwehrauto", "fire engine"), ("Satz", "this is a sentence of six")]
    glossary = Glossary.of("de", pairs, 3)
    assert glossary.readings(["Hahn", "ROT", "Feuerwehrauto", "Satz"], "de") == [
        ["Hahn"],
        ["red"],
        ["Feuerwehrauto"],
        ["Satz"],
    ]
    assert len(glossary) == 3 and glossary.codes == {"de"}
    whole = Glossary.of("de", pairs, 100)
    assert whole.readings(["Hahn", "Arm", "roter Hahn", "Satz"], "de") == [
        ["cock", "faucet"], ["arm"], ["roter cock", "roter faucet"], ["Satz"],
    ]  # fmt: skip
    assert whole.readings(["Labrador", "лабрадор", "ラブラドール", "10", "a " * (MOST_PIECES + 1)], "de") == [
        ["Labrador"], [], [], [], [],
    ]  # fmt: skip
    assert whole.readings(["rot " * (MOST_PIECES + 1)], "de") == [[]]


def test_what_a_language_had_is_replaced() -> None:
    one, two = Glossary.of("de", GERMAN, 9), Glossary.of("de", [("rot", "crimson")], 9)
    assert one.joined(two).block == two.block


def test_files_come_back_and_damage_is_told(tmp_path: Path) -> None:
    glossary = Glossary.of("de", GERMAN, 9)
    glossary.write(tmp_path / FILE)
    assert Glossary.read(tmp_path / FILE) == glossary
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-9])
    with pytest.raises(PackError, match="damaged"):
        Glossary.read(tmp_path / FILE)


def test_features_are_the_mean_of_both_ways() -> None:
    own = np.array([[2.0, 0, 0], [0, 3, 0]], np.float32)
    asked: list[list[str]] = []

    def encode(texts: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        asked.append(texts)
        return np.array([[0.0, 1, 0], [0, 0, 1]], np.float32)[: len(texts)]

    found = fused(own, [["cock", "faucet"], []], encode)
    looked_up = np.array([0, 1, 0.5]) / np.linalg.norm([0, 1, 0.5])
    expected = np.array([1.0, 0, 0]) + looked_up
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected), rtol=1e-6)
    np.testing.assert_array_equal(found[1], own[1])
    assert asked == [["cock", "faucet"]]
    assert fused(own, [[], []], encode) is own and len(asked) == 1
