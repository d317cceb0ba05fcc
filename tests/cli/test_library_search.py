"""Places, moments and guesses as the command line reads and writes them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.cli.library_search import guessed, moment, place_of
from glotclip.errors import ConfigError


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 1e4))
def test_a_place_is_read_as_it_is_written(lat: float, lon: float, reach: float) -> None:
    assert place_of(f"{lat},{lon},{reach}") == (lat, lon, reach)
    assert place_of(f" {lat} , {lon} , {reach} ") == (lat, lon, reach)


@pytest.mark.parametrize("text", ["48.2", "48.2,16.4", "1,2,3,4", "north,16,5", ","])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ConfigError, match="is no place with a distance"):
        place_of(text)


@pytest.mark.parametrize("text", [None, ""])
def test_no_place(text: str | None) -> None:
    assert place_of(text) is None


@given(st.floats(0, 1e6))
def test_moments_read_back_as_seconds(seconds: float) -> None:
    parts = [int(part) for part in moment(seconds).split(":")]
    assert len(parts) == (3 if seconds >= 3600 else 2)
    assert sum(part * 60**place for place, part in enumerate(reversed(parts))) == int(seconds)


def test_a_guess_says_how_sure_it_is() -> None:
    sure = SimpleNamespace(lang="de", probabilities={"de": 0.97, "en": 0.03}, sure=True)
    assert guessed(sure, {"de": 1.0}) == "language guessed: de, among de, en (say it with --lang)"
    assert guessed(sure, {"de": 0.97, "en": 0.03}).endswith(
        "de, en together, each score is of the one that fits best"
    )
    unsure = SimpleNamespace(lang="de", probabilities={"de": 0.6, "en": 0.4}, sure=False)
    assert "de, not surely (60%)" in guessed(unsure, {"de": 1.0})
    assert "searched under all of these: de 60%, en 40%" in guessed(unsure, {"de": 0.6, "en": 0.4})
    many = SimpleNamespace(lang="a0", probabilities={f"a{n}": 0.1 for n in range(9)}, sure=True)
    assert "among a0, a1, a2, a3, a4, a5 and others" in guessed(many, {"a0": 1.0})
