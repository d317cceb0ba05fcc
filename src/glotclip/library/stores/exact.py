"""What makes the answers of all stores the same: exact cosines, and one order of equal ones.

An engine may find candidates however it likes, as long as it finds enough of them; their scores are computed here,
from the vectors that it holds.

Shapes as in :mod:`glotclip.library.stores.protocol`; C candidates.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glotclip.library.stores.protocol import Floats, Numbers

ENOUGH = 32  # candidates beyond the k best, for engines whose scores differ in the last digits


def cosines(vectors: Floats, query: Floats) -> Floats:
    """Cosines (C,) of normalised vectors (C, E) and a query (E,).

    Row by row, whatever stands beside a vector: a matrix product would round by its shape.
    """
    return np.asarray(np.einsum("ce,e->c", vectors, query), np.float32)


def best(rows: Numbers, scores: Floats, k: int) -> tuple[Numbers, Floats]:
    """The k best of candidates (C,), both (k,): by score, then by row; missing ones are −1 with −inf."""
    order = np.lexsort((rows, -scores))[:k]
    found, own = np.full(k, -1, np.int64), np.full(k, -np.inf, np.float32)
    found[: len(order)], own[: len(order)] = rows[order], scores[order]
    return found, own


def for_each(queries: Floats, k: int, one: Callable[[Floats], tuple[Numbers, Floats]]) -> tuple[Numbers, Floats]:
    """The rows and scores (Q, k) of several queries, of what ``one`` finds for each (k,)."""
    found = [one(query) for query in queries]
    shape = len(queries), k
    rows, scores = ([each[part] for each in found] for part in (0, 1))
    return np.array(rows, np.int64).reshape(shape), np.array(scores, np.float32).reshape(shape)


def as_kept(vectors: Floats) -> Floats:
    """Vectors as every store keeps them: rounded to half precision, in which the file store has them."""
    return vectors.astype(np.float16).astype(np.float32)
