from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glotclip.gallery.fusion import mixture

cosines = st.integers(1, 4).flatmap(
    lambda langs: st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=langs, max_size=langs)
)


def test_the_language_that_points_at_something_decides() -> None:
    right, wrong = [0.2, 0.6, 0.2], [0.5, 0.1, 0.48]
    assert mixture([right, wrong], [0.4, 0.6]).sum(axis=0).argmax() == 1
    assert (0.4 * np.array(right) + 0.6 * np.array(wrong)).argmax() == 0  # what the mean would have found


@given(cosines)
def test_the_shares_are_a_distribution_over_the_images(scores: list[list[float]]) -> None:
    weights = np.full(len(scores), 1 / len(scores))
    shares = mixture(scores, weights)
    assert shares.shape == (len(scores), 3) and (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(), 1)
    np.testing.assert_allclose(shares.sum(axis=1), weights)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_one_language_ranks_as_its_cosines_do(scores: list[float]) -> None:
    order = mixture([scores], [1.0]).sum(axis=0)
    for one, first in zip(order, scores, strict=True):
        assert all(one <= two or first >= second for two, second in zip(order, scores, strict=True))
