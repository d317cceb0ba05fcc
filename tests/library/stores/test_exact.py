from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glotclip.library.stores.exact import as_kept, best, cosines


@given(st.integers(0, 40), st.integers(0, 50), st.integers(0, 9))
def test_the_best_by_score_then_by_row(count: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.permutation(100)[:count].astype(np.int64)
    scores = rng.integers(0, 4, count).astype(np.float32)  # many are equal
    found, own = best(rows, scores, k)
    expected = sorted(zip((-scores).tolist(), rows.tolist(), strict=True))[:k]
    assert found[: len(expected)].tolist() == [row for _, row in expected]
    assert (found[len(expected) :] == -1).all() and np.isneginf(own[len(expected) :]).all() and len(found) == k


def test_a_cosine_does_not_depend_on_what_stands_beside_it() -> None:
    vectors = as_kept(np.random.default_rng(0).normal(size=(300, 37)).astype(np.float32))
    query = vectors[0]
    whole = cosines(vectors, query)
    for size in (1, 7, 64):
        parts = [cosines(vectors[start : start + size], query) for start in range(0, 300, size)]
        assert np.array_equal(np.concatenate(parts), whole)
