"""Glossaries of packs: what is found in them, what they keep, and what a query becomes by them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.dictionary import Dictionary
from glotclip.errors import PackError
from glotclip.packs.glossary import FILE, MOST_PIECES, Glossary, fused, known_words

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

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


def test_how_much_of_a_text_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    glossary = Glossary.of("de", GERMAN, 9).joined(Glossary.of("fr", [("chat", "cat")], 9))
    assert math.isnan(glossary.share("rot", "de"))  # too few entries to say anything
    monkeypatch.setattr("glotclip.packs.glossary._TELLING", 4)
    texts = ["rot", "ROT", "roter Hahn", "chat", "", "!"]
    assert [glossary.share(text, "de") for text in texts] == [1, 1, 0.5, 0, 0, 0]
    assert math.isnan(glossary.share("chat", "fr")) and math.isnan(glossary.share("chat", "es"))


@given(st.lists(st.tuples(TEXT, TEXT), max_size=12), TEXT)
def test_as_much_is_known_as_the_dictionary_says(pairs: list[tuple[str, str]], asked: str) -> None:
    few = [(text, english) for text, english in pairs if len(english.split()) <= 5]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glotclip.packs.glossary._TELLING", 0)
        for text in (asked, *(text for text, _ in pairs)):
            assert Glossary.of("de", pairs, 100).share(text, "de") == Dictionary(few).share(text)


def test_the_words_of_english_are_its_tokens(base: DualEncoder) -> None:
    known = known_words({"de": lambda text: 0.5}, ("en", "de"), base.tokenizer.encode)
    vocabulary = [base.tokenizer.encode([word]) for word in ("", "a", "xqzj")]
    empty, one, many = (int(tokens.lengths[0]) for tokens in vocabulary)
    assert (one, many > empty + 1) == (empty + 1, True)
    assert [known["en"](text) for text in ("a", "a xqzj", "xqzj", "")] == [1, 0.5, 0, 0]
    assert known["de"]("") == 0.5 and not known_words({}, ("en", "de"), base.tokenizer.encode)


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
