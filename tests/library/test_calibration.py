"""Probabilities grow with the score, and chance is told from a match."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.library.calibration import CUTOFF, FEWEST, Background, in_words
from glotclip.models.calibration import Calibration

FAR = Calibration(0.6, 3.9)  # photo-clip's: matches stand out far


@given(
    st.integers(0, 1000),
    st.floats(-1, 1),
    st.floats(0.001, 0.3),
    st.sampled_from([100, 2_000, 50_000]),
    st.builds(Calibration, st.floats(0.6, 3), st.floats(-1, 3.9)),
)
def test_probabilities_grow_with_the_score_and_an_outlier_is_a_match(
    seed: int, middle: float, spread: float, count: int, means: Calibration
) -> None:
    background = Background.of(np.random.default_rng(seed).normal(middle, spread, count)[:2048], count, means)
    assert background is not None
    assert background.probability(middle + 15 * spread) > 0.9
    each = [background.probability(score) for score in np.linspace(middle - 3, middle + 3, 50)]
    assert each == sorted(each)
    assert all(0 <= value <= 1 for value in each)


@pytest.mark.parametrize(("count", "most"), [(FEWEST, 0.06), (100, 0.01), (2_000, 0.002), (20_000, 0.002)])
def test_the_best_of_pure_chance_is_hardly_ever_a_match(count: int, most: float) -> None:
    """A spread that is measured on few vectors is sometimes too small, so this is a share and not never."""
    runs, matches = 500, 0
    for seed in range(runs):
        scores = np.random.default_rng(seed).normal(0.2, 0.03, count)
        background = Background.of(scores[:2048], count, FAR)
        assert background is not None
        matches += background.probability(float(scores.max())) >= CUTOFF
    assert matches / runs <= most


def test_matches_in_the_background_do_not_hide_themselves() -> None:
    scores = np.random.default_rng(0).normal(0.2, 0.02, 1000)
    plain = Background.of(scores, calibration=FAR)
    scores[:100] = 0.5
    with_matches = Background.of(scores, calibration=FAR)
    assert plain is not None
    assert with_matches is not None
    assert with_matches.probability(0.5) == pytest.approx(plain.probability(0.5), abs=0.02)


def test_a_small_library_says_nothing_and_equal_scores_are_survived() -> None:
    assert Background.of(np.ones(FEWEST - 1)) is None
    equal = Background.of(np.full(100, 0.3), calibration=FAR)
    assert equal is not None
    assert equal.probability(0.3) < CUTOFF
    assert equal.probability(0.9) > 0.9


def test_probabilities_have_words() -> None:
    said = [in_words(each) for each in (None, 0.0, CUTOFF - 0.01, CUTOFF, 0.7, 0.9, 1.0)]
    assert said == ["not known", "unlikely", "unlikely", "maybe", "likely", "very likely", "very likely"]
