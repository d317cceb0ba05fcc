"""The vectors of a store ranked for one query, lazily, and exactly.

A query may have several readings: the languages it may be in. Their rankings are fused as a mixture
(:mod:`glotclip.gallery.fusion`):

    p(row) = Σ_l w_l · exp(SCALE · cos_l(row)) / Z_l

Each reading's best rows are fetched, and their union is ranked. What no reading has fetched has at most the fused
value τ of the last rows fetched, so what lies above τ is certain (Fagin's threshold algorithm); if more is needed,
more is fetched. Z_l is estimated on a sample of the library, and is exact where the sample is all of it.

Shapes: L readings, E embedding, n rows of the sample, c candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glotclip.gallery.fusion import SCALE
from glotclip.library.encoder import Floats
from glotclip.library.records import Numbers
from glotclip.library.stores.protocol import VectorStore

#: Rows fetched at first, by how much more each time, and the most.
FIRST, MORE, MOST = 128, 4, 16_384


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row in its place.

    Attributes:
        row: its number in the store.
        score: the cosine in the reading that suits it best.
        reading: which that is.
    """

    row: int
    score: float
    reading: int


def ranked(
    store: VectorStore,
    vectors: Floats,
    weights: Sequence[float],
    sample: Floats,
    among: Numbers | None,
    first: int = FIRST,
) -> Iterator[Ranked]:
    """Yield rows, best first; of equal ones the lower number first. At most ``MOST`` are fetched for a reading.

    Args:
        store: where they are.
        vectors: of the readings (L, E).
        weights: of the readings, which add up to 1.
        sample: vectors of rows of the library (n, E).
        among: the rows that may answer, ascending; None: all.
        first: how many rows to fetch at first.
    """
    norms = np.log(np.mean(np.exp(SCALE * (vectors @ sample.T).astype(np.float64)), axis=1)) if len(sample) else None
    told, depth = 0, max(1, first)
    while True:
        found, scores = store.search(vectors, min(depth, MOST), among)
        ends = (found >= 0).sum(axis=1)
        exhausted = bool((ends < found.shape[1]).any()) or depth >= MOST
        order, rows, cosines, suited = _fused(store, vectors, weights, norms, found, scores)
        certain = len(order)
        if len(vectors) > 1 and not exhausted:
            lowest = np.array([[scores[reading, end - 1]] for reading, end in enumerate(ends)])
            bound = _mixture(lowest, weights, norms).sum(axis=0)[0]
            certain = int((order > bound).sum())
        for place in range(told, certain):
            yield Ranked(int(rows[place]), float(cosines[place]), int(suited[place]))
        told = max(told, certain)
        if exhausted:
            return
        depth *= MORE


def _fused(
    store: VectorStore,
    vectors: Floats,
    weights: Sequence[float],
    norms: npt.NDArray[np.float64] | None,
    found: Numbers,
    scores: Floats,
) -> tuple[npt.NDArray[np.float64], Numbers, Floats, Numbers]:
    """The candidates in order: fused value, row, cosine in the reading that suits, and which that is (c)."""
    if len(vectors) == 1:
        rows = found[0][found[0] >= 0]
        cosines = scores[0][: len(rows)]
        return cosines.astype(np.float64), rows, cosines, np.zeros(len(rows), np.int64)
    rows = np.unique(found[found >= 0])
    each = np.stack([store.scores(vector, rows) for vector in vectors])  # (L, c)
    shares = _mixture(each, weights, norms)
    fused, suited = shares.sum(axis=0), shares.argmax(axis=0)
    order = np.lexsort((rows, -fused))
    cosines = np.take_along_axis(each, suited[None], axis=0)[0]
    return fused[order], rows[order], cosines[order], suited[order]


def _mixture(
    cosines: npt.NDArray[np.floating], weights: Sequence[float], norms: npt.NDArray[np.float64] | None
) -> npt.NDArray[np.float64]:
    exponents = SCALE * np.asarray(cosines, np.float64)
    if norms is not None:
        exponents -= norms[:, None]
    shares: npt.NDArray[np.float64] = np.exp(exponents) * np.asarray(weights, np.float64)[:, None]
    return shares
