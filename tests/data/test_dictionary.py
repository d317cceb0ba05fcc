from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.dictionary import READINGS, Dictionary, mean_of_readings

GERMAN = Dictionary(
    [
        ("Hahn", "cock"), ("Hahn", "faucet"), ("Hahn", "cock"), ("rot", "red"), ("roter Panda", "red panda"),
        ("weiß", "white"), ("Haus", "house"), ("Boot", "boat"), ("Hausboot", "houseboat"), ("arm", "poor"),
        ("Arm", "arm"), ("(ugs.)", "colloquial"),
    ]
)  # fmt: skip
CHINESE = Dictionary([("苹果", "apple"), ("红", "red"), ("红茶", "black tea"), ("树", "tree")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hahn", ["cock", "faucet"]),  # each once, in the order of the pairs
        ("  HAHN! ", ["cock", "faucet"]),
        ("arm", ["poor"]),  # its own spelling before the other
        ("Arm", ["arm"]),
        ("ARM", ["poor", "arm"]),
        ("WEISS", ["white"]),
        ("ein roter Panda", ["ein red panda"]),  # the longest entry; what is in none stays
        ("Haus-Boot", ["house boat"]),
        ("roter Hahn, rot", ["roter cock red", "roter faucet red"]),  # the k-th takes the k-th, or the last
        ("Labrador", ["Labrador"]),
        ("?!", ["?!"]),
    ],
)
def test_german(text: str, expected: list[str]) -> None:
    assert GERMAN.translations(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("红苹果树", ["red apple tree"]), ("红茶树", ["black tea tree"]), ("大苹果", ["大 apple"])],
)
def test_a_script_without_spaces(text: str, expected: list[str]) -> None:
    assert CHINESE.translations(text) == expected


def test_no_more_than_so_many_readings() -> None:
    book = Dictionary([("Ding", f"thing {n}") for n in range(20)])
    assert book.translations("Ding") == [f"thing {n}" for n in range(READINGS)]
    assert len(book) == 1


@given(st.text())
def test_any_text_has_a_reading(text: str) -> None:
    for book in (GERMAN, Dictionary([])):
        found = book.translations(text)
        assert 1 <= len(found) <= READINGS
        assert len(set(found)) == len(found)


@given(st.text(min_size=1), st.text())
def test_every_entry_is_found(text: str, english: str) -> None:
    book = Dictionary([(text, english), ("andere", "other")])
    said = " ".join(english.split())
    assert book.translations(text)[0] == (said or text)
    assert Dictionary.of_entries(book.entries).translations(text) == book.translations(text)


def test_readings_are_of_few_entries() -> None:
    assert GERMAN.readings("ein Labrador") == []  # no entry in it
    assert GERMAN.readings("ein roter Panda", 2) == ["ein red panda"]
    assert GERMAN.readings("ein roter Panda", 1) == []
    assert GERMAN.readings("Hausboot", 0) == ["houseboat"]  # an entry itself


def test_readings_weigh_less_one_by_one() -> None:
    features = np.eye(3, dtype=np.float32)
    found = mean_of_readings(features, [2, 1])
    np.testing.assert_allclose(found, np.array([[2 / 3, 1 / 3, 0], [0, 0, 1]]), rtol=1e-6)
