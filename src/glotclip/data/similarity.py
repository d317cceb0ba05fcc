"""Inner products of features, in which equal candidates tie exactly.

Shapes: Q queries, C candidates, E embedding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glotclip.errors import DataError

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

SCORE_BUDGET = 64 * 2**20
"""Bytes that a block of scores may take."""


def normalised(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """Features (…, E) at length 1; what has no length stays zero."""
    lengths = np.linalg.norm(features, axis=-1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)


def as_matrix(features: ArrayLike, what: str) -> Floats:
    """Features as a float matrix; half precision is widened, −0 becomes 0 so that equal rows have equal bytes.

    Raises:
        DataError: if they are not a matrix, or not finite; ``what`` names them in the message.
    """
    array = np.asarray(features)
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"{what} have shape {array.shape}", hint="give a matrix with one row for each item")
    wide = array if array.dtype == np.float64 else array.astype(np.float32)
    broken = ~np.isfinite(wide).all(axis=1)
    if broken.any():
        count, first = int(broken.sum()), int(broken.argmax())
        raise DataError(
            f"{what}: {count} of {len(wide)} rows are not finite, the first is row {first}",
            hint="use precision fp32, or check that the weights are not damaged and the training has not diverged",
        )
    return wide + 0.0


def unit_rows(features: ArrayLike, *, what: str) -> Floats:
    """Features (n, E) as float32 rows of length one; ``what`` names them in errors.

    Raises:
        DataError: if they are not a matrix, not finite, or a row is zero and so has no direction.
    """
    matrix = as_matrix(features, what)
    lengths = np.sqrt(np.einsum("ne,ne->n", matrix, matrix, dtype=np.float64))
    if not lengths.all():
        raise DataError(
            f"{what}: row {int(np.argmin(lengths))} is all zeros, so it has no direction to compare",
            hint="check the model's weights; a feature of length zero cannot be normalised",
        )
    return np.asarray(matrix / lengths[:, None], dtype=np.float32)


def distinct_rows(matrix: Floats) -> tuple[Floats, Ints]:
    """The distinct rows and, for every row, which of them it is."""
    seen: dict[bytes, int] = {}
    place = np.fromiter((seen.setdefault(row.tobytes(), len(seen)) for row in matrix), np.int64, len(matrix))
    if len(seen) == len(matrix):
        return matrix, place
    return matrix[np.unique(place, return_index=True)[1]], place


def score_blocks(queries: Floats, candidates: Floats, budget: int = SCORE_BUDGET) -> Iterator[tuple[slice, Floats]]:
    """Yield the scores (block, C) of the queries block by block: which queries, and their inner products.

    A matrix product may round the same inner product differently at different columns (the edge of a block is
    computed by another kernel), which would decide ties by chance. So each distinct candidate is scored once.

    Args:
        queries: features (Q, E).
        candidates: features (C, E). Equal rows score equally to the bit, wherever they stand.
        budget: bytes for one block of scores.
    """
    distinct, place = distinct_rows(candidates)
    size = max(1, budget // max(1, len(candidates) * candidates.itemsize))
    for first in range(0, len(queries), size):
        block = slice(first, min(first + size, len(queries)))
        scores = queries[block] @ distinct.T  # (block, distinct candidates)
        yield block, scores[:, place] if len(distinct) < len(candidates) else scores
