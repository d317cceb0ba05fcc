"""Orders of languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.compare.order import PAPER, Order, ordered, script_of
from glotclip.errors import ConfigError

SOME = ("ru", "de", "zh", "uk", "fi", "ar", "en")


def test_the_papers_order_has_its_36_languages_once_english_first() -> None:
    assert len(PAPER) == len(set(PAPER)) == 36
    assert (PAPER[0], PAPER[3], PAPER[-1]) == ("en", "fil", "hu")
    assert ordered(("nb", "qu", "hu", "sv"), "paper") == ("sv", "qu", "nb", "hu")  # as CLDR writes them
    assert ordered(SOME, "paper") == ("en", "de", "uk", "fi", "zh", "ru", "ar")


def test_a_language_the_paper_has_not() -> None:
    with pytest.raises(ConfigError, match="no place for ca"):
        ordered(("de", "ca"), "paper")


def test_by_script_as_given_within() -> None:
    assert ordered(SOME, "script") == ("ru", "uk", "de", "fi", "en", "zh", "ar")
    assert (script_of("sr"), script_of("zh-Hant"), script_of("hi")) == ("Cyrl", "Hant", "Deva")


def test_random_depends_on_the_seed_alone() -> None:
    assert ordered(SOME, "random", seed=3) == ordered(tuple(reversed(SOME)), "random", seed=3)
    assert len({ordered(PAPER, "random", seed=seed) for seed in range(5)}) == 5


@given(st.lists(st.sampled_from(PAPER), unique=True), st.sampled_from(["given", "paper", "random", "script"]))
def test_an_order_loses_and_invents_nothing(codes: list[str], order: Order) -> None:
    assert sorted(ordered(codes, order)) == sorted(codes)
