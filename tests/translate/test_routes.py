"""Chains of pairs: the shortest, checked against trying all of them."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import LanguageError
from glotclip.translate.routes import Pair, available, route

CODES = ("en", "es", "ca", "fr", "it")
PAIRS = st.lists(st.sampled_from([(a, b) for a in CODES for b in CODES if a != b]), unique=True)


def shortest(pairs: list[Pair], source: str, target: str) -> int | None:
    """Length of the shortest chain, by trying every order of the languages between."""
    for between in range(len(CODES) - 1):
        for middle in permutations([code for code in CODES if code not in (source, target)], between):
            stops = (source, *middle, target)
            if all(pair in pairs for pair in pairwise(stops)):
                return between + 1
    return None


@given(PAIRS)
def test_the_shortest_chain_is_found_if_there_is_one(pairs: list[Pair]) -> None:
    wanted = shortest(pairs, "en", "fr")
    if wanted is None:
        with pytest.raises(LanguageError):
            route(pairs, "en", "fr", engine="x", hint="y")
        return
    chain = route(pairs, "en", "fr", engine="x", hint="y")
    assert len(chain) == wanted
    assert all(pair in pairs for pair in chain)
    assert chain[0][0] == "en"
    assert chain[-1][1] == "fr"
    assert all(first[1] == second[0] for first, second in pairwise(chain))


def test_a_region_is_met_by_the_plain_language_but_not_the_other_way_round() -> None:
    assert route([("en", "pt")], "en-GB", "pt-BR", engine="x", hint="y") == [("en", "pt")]
    assert available("zh-Hant-TW", ["zh", "zh-Hant"]) == "zh-Hant"
    with pytest.raises(LanguageError, match="from 'en' it reaches pt-BR"):
        route([("en", "pt-BR")], "en", "pt", engine="x", hint="y")


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(LanguageError, match="from 'en' it reaches es, ca"):
        route([("en", "es"), ("es", "ca"), ("fr", "it")], "en", "it", engine="apertium", hint="install it")
    with pytest.raises(LanguageError, match="does not know 'de'"):
        route([("en", "es")], "de", "es", engine="apertium", hint="install it")
