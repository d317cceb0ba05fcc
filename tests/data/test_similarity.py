"""Inner products of features: unit rows, and equal candidates that tie exactly."""

from __future__ import annotations

import numpy as np
import pytest

from glotclip.data.similarity import as_matrix, distinct_rows, score_blocks, unit_rows
from glotclip.errors import DataError


def test_unit_rows_have_length_one_and_zero_rows_are_refused() -> None:
    rows = unit_rows([[3.0, 4.0], [1e-20, 0.0]], what="texts")
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [1.0, 0.0]], rtol=1e-6)
    with pytest.raises(DataError, match="texts: row 1 is all zeros"):
        unit_rows([[1, 0], [0, 0]], what="texts")


def test_what_is_no_matrix_of_numbers_is_refused() -> None:
    with pytest.raises(DataError, match=r"texts have shape \(3,\)"):
        as_matrix([1, 2, 3], "texts")
    with pytest.raises(DataError, match="texts: 1 of 2 rows are not finite, the first is row 1"):
        as_matrix([[1.0], [np.inf]], "texts")
    assert as_matrix(np.ones((1, 2), np.float16), "texts").dtype == np.float32


def test_distinct_rows_and_where_they_are() -> None:
    rows, place = distinct_rows(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
    assert rows.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert place.tolist() == [0, 1, 0]


@pytest.mark.parametrize("budget", [1, 400, 2**20])
def test_blocks_hold_all_scores_and_equal_candidates_score_equally(budget: int) -> None:
    rng = np.random.default_rng(0)
    queries, once = rng.standard_normal((9, 37)), rng.standard_normal((17, 37))
    twins = np.concatenate([once, once[::-1]])
    scores = np.concatenate([some for _, some in score_blocks(queries, twins, budget)])
    np.testing.assert_allclose(scores, queries @ twins.T, rtol=1e-9)
    assert (scores[:, :17] == scores[:, :16:-1]).all()
