# ruff: noqa: E501 -- tables
"""Signs that are folded alike in every language: encodings, invisible characters, widths, quotation marks, joiners."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.textforms.signs import curled, plain_joiners, plain_signs, repaired, visible, well_formed


def test_lone_surrogates_are_replaced() -> None:
    assert well_formed("\ud800dog") == "\ufffddog"
    assert well_formed("\ud83d\udc15") == "🐕"  # two halves of one sign


@pytest.mark.parametrize("text", ["", " \t", "\u200b\u200e", "\u3164", "\x00\x1b", "\ufffc"])
def test_what_is_not_seen(text: str) -> None:
    assert not visible(text)
    assert visible(text + "a")


def test_entities_and_mojibake_are_undone() -> None:
    assert repaired("AT&amp;amp;T") == "AT&T"
    assert repaired("cafÃ©") == "café"
    assert repaired("Â\u00adne") == "Â\u00adne"  # may be meant


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("ｄｏｇ", "dog"), ("𝓭𝓸𝓰", "dog"), ("ﬁsh", "fish"), ("㌔", "キロ"), ("“a” «b»", '"a" "b"'), ("a – b", "a - b"), ("٣", "3"),
        ("do\u00adg", "dog"), ("red\x1b[31m", "red"), (" a\u3000 b ", "a b"), ("ℹ Ⓜ ² ½", "ℹ Ⓜ ² ½"),
    ],
)  # fmt: skip
def test_signs(written: str, plain: str) -> None:
    assert plain_signs(written) == plain


def test_quotation_marks_of_english_typography() -> None:
    assert curled("the \"red\" dog's 'hat'") == "the “red” dog’s ‘hat’"


@pytest.mark.parametrize("text", ["👩\u200d🚀", "क्\u200dष", "می\u200cخواهم", "1\ufe0f\u20e3", "❤\ufe0f"])
def test_joiners_that_are_read_stay(text: str) -> None:
    assert plain_joiners(text) == text


@given(st.text(st.sampled_from("ab \u200c\u200d\ufe0f1"), max_size=8))
def test_joiners_between_latin_letters_go(text: str) -> None:
    plain = plain_joiners(text)
    assert not set(plain) & set("\u200c\u200d\ufe0f")
    assert plain == "".join(sign for sign in text if sign in "ab 1")
