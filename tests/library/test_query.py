"""Queries are read as people write them, and what cannot be asked is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import ConfigError, GlotclipError
from glotclip.library.query import AWAY, LONGEST, MOST_TERMS, terms_of, utf8


@pytest.mark.parametrize(
    ("text", "wanted", "away"),
    [
        ("a dog -cat", "a dog", ["cat"]),
        ("-cat a dog", "a dog", ["cat"]),
        ('dog not:"a red ball" -"two words"', "dog", ["a red ball", "two words"]),
        ("dog NOT:cat not: bird", "dog", ["cat", "bird"]),
        ("semi-automatic x-ray - and 3-4", "semi-automatic x-ray - and 3-4", []),
        ("Hund -Katze", "Hund", ["Katze"]),
        ("狗 -猫", "狗", ["猫"]),
        ("كلب -قطة", "كلب", ["قطة"]),
        ("nothing: not a dog", "nothing: not a dog", []),
        ('say "hello world"', 'say "hello world"', []),
        ("don't-care knot:x", "don't-care knot:x", []),
    ],
)
def test_what_pushes_away(text: str, wanted: str, away: list[str]) -> None:
    first, *rest = terms_of(text)
    assert (first.content, first.weight) == (wanted, 1.0)
    assert [(term.content, term.weight) for term in rest] == [(word, AWAY) for word in away]


def test_several_with_weights_and_pictures() -> None:
    terms = terms_of(["a dog", ("snow", 0.5), ("cat", -1.0)], image=["a.jpg"])
    assert [(term.content, term.weight, term.is_text) for term in terms] == [
        ("a dog", 1.0, True), ("snow", 0.5, True), ("cat", -1.0, True), ("a.jpg", 1.0, False),
    ]  # fmt: skip
    assert [term.content for term in terms_of(None, image="a.jpg")] == ["a.jpg"]
    assert [term.content for term in terms_of("-cat", image="a.jpg")] == ["cat", "a.jpg"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "empty"),
        (None, "empty"),
        ("\u200f\u00ad", "empty"),
        ("-cat", "only says what is not wanted"),
        (("dog", 0.0), "impossible weight"),
        (("dog", float("nan")), "impossible weight"),
        ("x" * (LONGEST + 1), "more than 10,000 characters"),
        ("x" * 100_000_000, "more than 10,000 characters"),
        (["a"] * (MOST_TERMS + 1), "more than 32 terms"),
        (["a"] * 1_000_000, "characters"),
        ("dog " + "-a " * 3_000, "more than 32 terms"),
        ("caf\udce9", "not UTF-8"),
    ],
)
def test_what_cannot_be_asked(query: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        terms_of(query)  # type: ignore[arg-type]


@given(st.text(max_size=200))
def test_any_text_is_terms_or_our_error(text: str) -> None:
    try:
        terms = terms_of(text)
    except GlotclipError:
        return
    assert any(term.weight > 0 for term in terms)
    assert all(str(term.content).strip() for term in terms)


def test_arguments_of_an_ascii_locale_are_mended() -> None:
    assert utf8("caf\udcc3\udca9") == "café"
