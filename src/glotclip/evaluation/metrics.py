"""Retrieval metrics as pure functions: features go in, ranks come out, and every score is a function of ranks.

Shapes: Q queries, C candidates (the gallery), E embedding, P positive pairs, L languages, N images, M texts.
Ranks count from 0: the number of wrong candidates that are not worse than the best right one, so a rank of 0 is a
hit at 1. Shares are in percent.

A worked example, two captions for each of two images, everything in E = 2:

>>> images = np.array([[1.0, 0.0], [0.0, 1.0]])
>>> texts = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.6, 0.8]])
>>> owner = np.array([0, 0, 1, 1])
>>> text_to_image_ranks(texts, images, owner)  # the second caption of image 0 is closer to image 1
array([0, 1, 0, 0])
>>> image_to_text_ranks(texts, images, owner)  # for each image its best caption counts
array([0, 0])
>>> image_to_text_ranks_by_group(texts, images, owner)  # MLA's: each image's captions stand as one, their best
array([0, 0])
>>> recall_at(text_to_image_ranks(texts, images, owner), 1)
75.0
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glotclip.errors import DataError

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

RECALLS = (1, 5, 10)
SCORE_BUDGET = 64 * 2**20
"""Bytes that a block of scores may take; queries are worked off in blocks of this size."""


# --- features to ranks ----------------------------------------------------------------------------------------------


def normalised(features: ArrayLike, *, what: str) -> Floats:
    """Return the features (n, E) as float32 rows of length one; ``what`` names them in errors.

    Raises:
        DataError: if they are not a matrix, not finite, or a row is zero and so has no direction.
    """
    matrix = _matrix(features, what)
    lengths = np.sqrt(np.einsum("ne,ne->n", matrix, matrix, dtype=np.float64))
    if not lengths.all():
        raise DataError(
            f"{what}: row {int(np.argmin(lengths))} is all zeros, so it has no direction to compare",
            hint="check the model's weights; a feature of length zero cannot be normalised",
        )
    return np.asarray(matrix / lengths[:, None], dtype=np.float32)


def ranks(
    queries: ArrayLike, gallery: ArrayLike, positives: tuple[ArrayLike, ArrayLike], *, budget: int = SCORE_BUDGET
) -> Ints:
    """Return for each query how many wrong candidates are not worse than its best right one: int64 (Q,).

    The score is the inner product, the cosine when both sides are normalised. A wrong candidate with exactly
    the score of the best right one counts as ahead, so a model whose features have collapsed gets the last
    rank, not the first; other right ones never count. This is the rank of the best ground truth (Karpathy &
    Fei-Fei 2015) with the pessimistic reading of ties. Memory stays near ``budget`` bytes
    beyond the features: the scores of a block of queries, never the whole Q×C matrix.

    Args:
        queries: features (Q, E).
        gallery: features (C, E). Equal rows score equally to the bit, wherever they stand.
        positives: two integer arrays (P,), query and candidate of each right pair, in any order; each query
            has at least one.
        budget: bytes for one block of scores.

    Raises:
        DataError: if features are not finite or do not fit each other, or a query has no right candidate.
    """
    query, candidate = _matrix(queries, "query features"), _matrix(gallery, "gallery features")
    if query.shape[1] != candidate.shape[1]:
        raise DataError(
            f"queries have {query.shape[1]} dimensions, the gallery has {candidate.shape[1]}",
            hint="both sides must come from the same model",
        )
    owners, targets, starts = _sorted_pairs(positives, len(query), len(candidate))
    result = np.empty(len(query), dtype=np.int64)
    for first, last, scores in _score_blocks(query, candidate, budget):
        pairs = slice(starts[first], starts[last])
        right = scores[owners[pairs] - first, targets[pairs]]
        begins = starts[first:last] - starts[first]
        best = np.maximum.reduceat(right, begins)
        level = np.add.reduceat(right >= best[owners[pairs] - first], begins, dtype=np.int64)
        result[first:last] = np.count_nonzero(scores >= best[:, None], axis=1) - level
    return result


def text_to_image_ranks(texts: ArrayLike, images: ArrayLike, owner: ArrayLike, *, budget: int = SCORE_BUDGET) -> Ints:
    """Rank of each text's image among all images: int64 (M,) for texts (M, E), images (N, E), owner (M,) < N."""
    own = np.asarray(owner)
    return ranks(texts, images, (np.arange(len(own)), own), budget=budget)


def image_to_text_ranks(texts: ArrayLike, images: ArrayLike, owner: ArrayLike, *, budget: int = SCORE_BUDGET) -> Ints:
    """Rank of each image's best caption among all texts: int64 (K,), for the K images that have a text.

    The order is that of ``np.unique(owner)``; images without a text are no queries.
    """
    own = np.asarray(owner)
    present, query = np.unique(own, return_inverse=True)
    return ranks(np.asarray(images)[present], texts, (query, np.arange(len(own))), budget=budget)


def image_to_text_ranks_by_group(
    texts: ArrayLike, images: ArrayLike, owner: ArrayLike, *, budget: int = SCORE_BUDGET
) -> Ints:
    """Rank of each image's captions among those of all images, each image's standing as one: int64 (K,).

        s(v, g) = max over captions y of image g of v·y        rank_v = |{g ≠ v : s(v, g) ≥ s(v, v)}|

    The protocol of MLA (Zhang et al. 2022), by way of CLIP4Clip's "multi-sentence" retrieval. A wrong image with
    several captions ahead of the right one counts once, where :func:`image_to_text_ranks` counts each, so no rank is
    higher than there, and both are 0 for the same images: R@1 is the same, R@5 and R@10 are not lower. Ties count as
    ahead, as in :func:`ranks`. Worked example, three captions of image 0 and one of image 1:

    >>> images = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> texts = np.array([[0.6, 0.8], [0.6, 0.8], [0.28, 0.96], [0.96, 0.28]])
    >>> owner = np.array([0, 0, 0, 1])
    >>> image_to_text_ranks(texts, images, owner)  # three captions of image 0 are closer to image 1 than its own
    array([1, 3])
    >>> image_to_text_ranks_by_group(texts, images, owner)  # but they are one image's
    array([1, 1])

    Args:
        texts: features (M, E).
        images: features (N, E).
        owner: (M,), the image of each text. The K images that have one are queries and candidates, in the order of
            ``np.unique(owner)``.
        budget: bytes for one block of scores.
    """
    own = np.asarray(owner, dtype=np.int64)
    order = np.argsort(own, kind="stable")
    present, starts = np.unique(own[order], return_index=True)
    query, candidate = _matrix(np.asarray(images)[present], "images"), _matrix(np.asarray(texts)[order], "texts")
    result = np.empty(len(query), dtype=np.int64)
    for first, last, scores in _score_blocks(query, candidate, budget):
        best = np.maximum.reduceat(scores, starts, axis=1)  # (block, K)
        right = best[np.arange(last - first), np.arange(first, last)]
        result[first:last] = np.count_nonzero(best >= right[:, None], axis=1) - 1
    return result


def _score_blocks(query: Floats, candidate: Floats, budget: int) -> Iterator[tuple[int, int, Floats]]:
    """Yield the scores (block, C) of the queries from the first to before the last of a block."""
    distinct, place = distinct_rows(candidate)
    block = max(1, budget // max(1, len(candidate) * candidate.itemsize))
    for first in range(0, len(query), block):
        last = min(first + block, len(query))
        scores = query[first:last] @ distinct.T  # (block, distinct candidates)
        yield first, last, scores[:, place] if len(distinct) < len(candidate) else scores


def _matrix(features: ArrayLike, what: str) -> Floats:
    """Check shape and finiteness; half precision is widened, −0 becomes 0 so that equal rows have equal bytes."""
    array = np.asarray(features)
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"{what} have shape {array.shape}", hint="give a matrix with one row for each item")
    wide = array if array.dtype == np.float64 else array.astype(np.float32)
    bad = ~np.isfinite(wide).all(axis=1)
    if bad.any():
        raise DataError(
            f"{what}: {int(bad.sum())} of {len(wide)} rows are not finite, the first is row {int(bad.argmax())}",
            hint="use precision fp32, or check that the weights are not damaged and the training has not diverged",
        )
    return wide + 0.0


def _sorted_pairs(positives: tuple[ArrayLike, ArrayLike], count: int, gallery: int) -> tuple[Ints, Ints, Ints]:
    """Return queries (P,) and candidates (P,), sorted, without doubles; and where each query's pairs start (Q+1,)."""
    owner, target = (np.asarray(side, dtype=np.int64) for side in positives)
    for side, size, what in ((owner, count, "query"), (target, gallery, "candidate")):
        if side.shape != owner.shape or (side.size and (side.min() < 0 or side.max() >= size)):
            raise DataError(
                f"a right pair names a {what} outside 0…{size - 1}", hint="check the image of each caption"
            )
    pairs = np.unique(owner * gallery + target)
    owner, target = pairs // gallery, pairs % gallery
    starts = np.searchsorted(owner, np.arange(count + 1)).astype(np.int64)
    if (np.diff(starts) == 0).any():
        raise DataError(
            f"query {int(np.argmin(np.diff(starts)))} has no right candidate", hint="leave such queries out"
        )
    return owner, target, starts


def distinct_rows(matrix: Floats) -> tuple[Floats, Ints]:
    """Return the distinct rows and, for every row, which of them it is.

    A matrix product may round the same inner product differently at different columns (the edge of a block
    is computed by another kernel), which would decide ties by chance. Scoring each distinct row once keeps
    ties between equal candidates exact.
    """
    seen: dict[bytes, int] = {}
    place = np.fromiter((seen.setdefault(row.tobytes(), len(seen)) for row in matrix), np.int64, len(matrix))
    if len(seen) == len(matrix):
        return matrix, place
    return matrix[np.unique(place, return_index=True)[1]], place


# --- ranks to scores ------------------------------------------------------------------------------------------------


def recall_at(ranks: ArrayLike, k: int) -> float:
    """R@k in percent: 100 · |{q : rank_q < k}| / Q, ranks from 0 (Hodosh et al. 2013)."""
    return float(100.0 * np.mean(_some(ranks) < k))


def median_rank(ranks: ArrayLike) -> float:
    """Median rank counted from 1 as the field prints it: median(rank_q) + 1; 1 is perfect."""
    return float(np.median(_some(ranks)) + 1)


def mean_reciprocal_rank(ranks: ArrayLike) -> float:
    """MRR in percent: 100/Q · Σ_q 1 / (rank_q + 1), ranks from 0 (Voorhees 1999)."""
    return float(100.0 * np.mean(1.0 / (_some(ranks) + 1)))


def mean_recall(text_to_image: ArrayLike, image_to_text: ArrayLike) -> float:
    """r_mean: the mean of R@1, R@5 and R@10 in both directions, six numbers (the selection rule of CLL-CLIP)."""
    return float(np.mean([recall_at(direction, k) for direction in (text_to_image, image_to_text) for k in RECALLS]))


def _some(ranks: ArrayLike) -> Ints:
    array = np.asarray(ranks, dtype=np.int64)
    if array.size == 0:
        raise DataError("no queries to score", hint="choose a subset or language that has captions")
    return array


def bootstrap_interval(
    values: ArrayLike, clusters: ArrayLike, *, draws: int = 1000, level: float = 95.0, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``values`` when whole clusters are drawn anew.

    The captions of one image share its difficulty, so images are the unit that is drawn, with replacement;
    each draw's mean is Σ values / Σ count over the images drawn (Efron & Tibshirani 1993, chapters 8 and 13).
    The same seed and number of clusters draw the same images, so intervals of two models are paired.

    Args:
        values: what is averaged, (Q,), such as 100 for a hit and 0 for a miss.
        clusters: the image of each value, (Q,), any integers.
        draws: number of resamples.
        level: percent of the resampled means that lie inside the interval.
        seed: of the resampling.
    """
    value = np.asarray(values, dtype=np.float64)
    if value.size == 0:
        raise DataError("no queries to score", hint="choose a subset or language that has captions")
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    counts = np.bincount(cluster).astype(np.float64)
    sums = np.bincount(cluster, weights=value)
    rng = np.random.default_rng(seed)
    means: list[Floats] = []
    block = max(1, 2**22 // len(counts))  # at most 32 MB of indices at a time
    for first in range(0, draws, block):
        chosen = rng.integers(0, len(counts), size=(min(block, draws - first), len(counts)))
        means.append(sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1))
    low, high = np.percentile(np.concatenate(means), [(100 - level) / 2, (100 + level) / 2])
    return float(low), float(high)


# --- scores over languages ------------------------------------------------------------------------------------------


def average(scores: Mapping[str, float]) -> float:
    """Macro average: the mean over languages, each counting the same: 1/L · Σ_l s_l."""
    return float(np.mean(_values(scores)))


def gaps(scores: Mapping[str, float], reference: str = "en") -> dict[str, float]:
    """How far each other language lies behind the reference: s_ref − s_l; negative where it is ahead."""
    return {code: scores[reference] - score for code, score in scores.items() if code != reference}


def disparity(scores: Mapping[str, float], reference: str = "en") -> dict[str, float]:
    """Measures of how unequally languages are served, in the units of the scores; 0 is equality in all of them.

    ===================== ================================================================
    standard_deviation    √(1/L · Σ_l (s_l − mean)²), of the population: these languages are all there are
    range                 max_l s_l − min_l s_l (the rate gap between the best and the worst group)
    mean_absolute_gap     mean over l ≠ ref of |s_ref − s_l|
    worst_gap             max over l ≠ ref of (s_ref − s_l); negative if the reference is the worst
    ===================== ================================================================

    The two gaps are left out when the reference is not among the languages, or alone.
    """
    values = _values(scores)
    measures = {"standard_deviation": float(np.std(values)), "range": float(np.ptp(values))}
    behind: Sequence[float] = list(gaps(scores, reference).values()) if reference in scores else []
    if behind:
        measures["mean_absolute_gap"] = float(np.mean(np.abs(behind)))
        measures["worst_gap"] = float(max(behind))
    return measures


def _values(scores: Mapping[str, float]) -> Floats:
    if not scores:
        raise DataError("no language to average over", hint="evaluate at least one language")
    return np.array(list(scores.values()), dtype=np.float64)
