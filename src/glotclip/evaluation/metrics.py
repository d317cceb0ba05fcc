"""Retrieval metrics as pure functions: features go in, ranks come out, and every score is a function of ranks.

Shapes: Q queries, C candidates (the gallery), E embedding, L languages, N images, M texts.
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
>>> recall_at(text_to_image_ranks(texts, images, owner), 1)
75.0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glotclip.data.similarity import SCORE_BUDGET, Floats, Ints, as_matrix, score_blocks
from glotclip.errors import DataError
from glotclip.scores import REFERENCE

RECALLS = (1, 5, 10)


# --- features to ranks ----------------------------------------------------------------------------------------------


def ranks(
    queries: ArrayLike,
    gallery: ArrayLike,
    images: tuple[ArrayLike, ArrayLike],
    *,
    by_group: bool = False,
    budget: int = SCORE_BUDGET,
) -> Ints:
    """For each query, how many wrong candidates are not worse than its best right one: int64 (Q,).

    The score is the inner product, the cosine when both sides are normalised. A wrong candidate with exactly the
    score of the best right one counts as ahead, so a model whose features have collapsed gets the last rank, not
    the first; other right ones never count. This is the rank of the best ground truth (Karpathy & Fei-Fei 2015)
    with the pessimistic reading of ties. Memory stays near ``budget`` bytes beyond the features: the scores of a
    block of queries, never the whole Q×C matrix.

    Args:
        queries: features (Q, E).
        gallery: features (C, E). Equal rows score equally to the bit, wherever they stand.
        images: two integer arrays, the image of each query (Q,) and of each candidate (C,); a candidate is right
            if its image is the query's. Each query has at least one.
        by_group: whether the candidates of an image stand as one, the best of them.
        budget: bytes for one block of scores.

    Raises:
        DataError: if features are not finite or do not fit each other, or a query has no right candidate.
    """
    query, candidate = as_matrix(queries, "query features"), as_matrix(gallery, "gallery features")
    asked, held = (np.asarray(side, dtype=np.int64) for side in images)
    if query.shape[1] != candidate.shape[1]:
        raise DataError(
            f"queries have {query.shape[1]} dimensions, the gallery has {candidate.shape[1]}",
            hint="both sides must come from the same model",
        )
    if asked.shape != query.shape[:1] or held.shape != candidate.shape[:1]:
        raise DataError(
            f"{len(query)} queries and {len(candidate)} candidates, but images of {asked.size} and {held.size}",
            hint="name the image of each",
        )
    if not (found := np.isin(asked, held)).all():
        raise DataError(f"query {int(np.argmin(found))} has no right candidate", hint="leave such queries out")
    if by_group:
        order = np.argsort(held, kind="stable")
        candidate = candidate[order]
        held, starts = np.unique(held[order], return_index=True)
    result = np.empty(len(query), dtype=np.int64)
    for block, scores in score_blocks(query, candidate, budget):
        if by_group:
            scores = np.maximum.reduceat(scores, starts, axis=1)  # (block, images)
        right = asked[block, None] == held
        best = scores.max(axis=1, keepdims=True, where=right, initial=-np.inf)
        result[block] = np.count_nonzero((scores >= best) & ~right, axis=1)
    return result


def text_to_image_ranks(texts: ArrayLike, images: ArrayLike, owner: ArrayLike, *, budget: int = SCORE_BUDGET) -> Ints:
    """Rank of each text's image among all images: int64 (M,) for texts (M, E), images (N, E), owner (M,) < N."""
    return ranks(texts, images, (owner, np.arange(len(np.asarray(images)))), budget=budget)


def image_to_text_ranks(
    texts: ArrayLike, images: ArrayLike, owner: ArrayLike, *, by_group: bool = False, budget: int = SCORE_BUDGET
) -> Ints:
    """Rank of each image's best caption among all texts: int64 (K,), for the K images that have a text.

    ``by_group`` is the protocol of MLA (Zhang et al. 2022), by way of CLIP4Clip's "multi-sentence" retrieval: each
    image's captions stand as one,

        s(v, g) = max over captions y of image g of v·y        rank_v = |{g ≠ v : s(v, g) ≥ s(v, v)}|

    A wrong image with several captions ahead of the right one counts once instead of several times. So no rank is
    higher, and the same images have rank 0: R@1 is the same, R@5 and R@10 are not lower. Three captions of image 0
    and one of image 1:

    >>> images = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> texts = np.array([[0.6, 0.8], [0.6, 0.8], [0.28, 0.96], [0.96, 0.28]])
    >>> owner = np.array([0, 0, 0, 1])
    >>> image_to_text_ranks(texts, images, owner)  # three captions of image 0 are closer to image 1 than its own
    array([1, 3])
    >>> image_to_text_ranks(texts, images, owner, by_group=True)  # but they are one image's
    array([1, 1])

    Args:
        texts: features (M, E).
        images: features (N, E).
        owner: (M,), the image of each text. Images without a text are no queries; the others are in the order of
            ``np.unique(owner)``.
        by_group: see above.
        budget: bytes for one block of scores.
    """
    present = np.unique(np.asarray(owner))
    return ranks(np.asarray(images)[present], texts, (present, owner), by_group=by_group, budget=budget)


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


def _some(values: ArrayLike, dtype: type[np.number[Any]] = np.int64) -> NDArray[Any]:
    array = np.asarray(values, dtype=dtype)
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
    value = _some(values, np.float64)
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


def gaps(scores: Mapping[str, float], reference: str = REFERENCE) -> dict[str, float]:
    """How far each other language lies behind the reference: s_ref − s_l; negative where it is ahead."""
    return {code: scores[reference] - score for code, score in scores.items() if code != reference}


def disparity(scores: Mapping[str, float], reference: str = REFERENCE) -> dict[str, float]:
    """Measures of how unequally languages are served, in the units of the scores; 0 is equality in all of them.

    ===================== ================================================================
    standard_deviation    √(1/L · Σ_l (s_l − mean)²), of the population: these languages are all there are
    range                 max_l s_l − min_l s_l (the rate gap between the best and the worst group)
    mean_absolute_gap     mean over l ≠ ref of |s_ref − s_l|
    worst_gap             max over l ≠ ref of (s_ref − s_l); negative if the reference is the worst
    ===================== ================================================================

    The two gaps are left out when the reference is not among the languages, or alone.
    """
    if not scores:
        raise DataError("no language to average over", hint="evaluate at least one language")
    values = np.array(list(scores.values()), dtype=np.float64)
    measures = {"standard_deviation": float(np.std(values)), "range": float(np.ptp(values))}
    if behind := list(gaps(scores, reference).values()) if reference in scores else []:
        measures["mean_absolute_gap"] = float(np.mean(np.abs(behind)))
        measures["worst_gap"] = float(max(behind))
    return measures
