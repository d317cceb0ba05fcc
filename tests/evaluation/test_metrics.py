"""Metrics against oracles that are written out as the definitions read, one query and one candidate at a time."""

from __future__ import annotations

import doctest
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from glotclip.data.similarity import SCORE_BUDGET, unit_rows
from glotclip.errors import DataError
from glotclip.evaluation import metrics

Floats = NDArray[np.floating]


@st.composite
def retrieval_cases(draw: st.DrawFn) -> tuple[Floats, Floats, list[int]]:
    """Texts (M, E), images (N, E) and each text's image; small integers, so scores are exact and often tie."""
    n, m, e = draw(st.integers(1, 6)), draw(st.integers(1, 9)), draw(st.integers(1, 3))
    row = st.lists(st.integers(-2, 2), min_size=e, max_size=e)
    texts = draw(st.lists(row, min_size=m, max_size=m))
    images = draw(st.lists(row, min_size=n, max_size=n))
    owner = draw(st.lists(st.integers(0, n - 1), min_size=m, max_size=m))
    return np.array(texts, dtype=np.float32), np.array(images, dtype=np.float32), owner


def oracle_rank(query: Floats, gallery: Floats, right: set[int]) -> int:
    """Place of the best right candidate when all wrong ones with the same score stand before it."""
    scores = [sum(float(a) * float(b) for a, b in zip(query, row, strict=True)) for row in gallery]
    best = max(scores[c] for c in right)
    return sum(1 for c, score in enumerate(scores) if c not in right and score >= best)


@settings(max_examples=150, deadline=None)
@given(retrieval_cases(), st.sampled_from([1, 64, SCORE_BUDGET]))
def test_ranks_equal_the_definition_in_any_block_size(case: tuple[Floats, Floats, list[int]], budget: int) -> None:
    texts, images, owner = case
    expected = [oracle_rank(text, images, {image}) for text, image in zip(texts, owner, strict=True)]
    assert metrics.text_to_image_ranks(texts, images, owner, budget=budget).tolist() == expected
    right = {image: {t for t, own in enumerate(owner) if own == image} for image in sorted(set(owner))}
    expected = [oracle_rank(images[image], texts, mine) for image, mine in right.items()]
    assert metrics.image_to_text_ranks(texts, images, owner, budget=budget).tolist() == expected


def oracle_group_rank(image: int, texts: Floats, images: Floats, owner: list[int]) -> int:
    """MLA's, a loop over images: the best caption of each stands for it; equally good images stand before it."""
    best: dict[int, float] = {}
    for text, own in zip(texts, owner, strict=True):
        score = sum(float(a) * float(b) for a, b in zip(images[image], text, strict=True))
        best[own] = max(score, best.get(own, score))
    return sum(1 for other, score in best.items() if other != image and score >= best[image])


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(retrieval_cases(), st.sampled_from([1, 64, SCORE_BUDGET]))
def test_ranks_by_group_equal_a_written_out_loop(case: tuple[Floats, Floats, list[int]], budget: int) -> None:
    texts, images, owner = case
    expected = [oracle_group_rank(image, texts, images, owner) for image in sorted(set(owner))]
    ranks = metrics.image_to_text_ranks(texts, images, owner, by_group=True, budget=budget)
    assert ranks.tolist() == expected
    alone = metrics.image_to_text_ranks(texts, images, owner)
    assert (ranks <= alone).all()
    assert ((ranks == 0) == (alone == 0)).all()  # R@1 is the same


def test_a_collapsed_model_gets_the_last_rank() -> None:
    same = np.ones((7, 4)) / 2
    assert metrics.text_to_image_ranks(same, same, range(7)).tolist() == [6] * 7
    assert metrics.recall_at(metrics.image_to_text_ranks(same, same, range(7)), 5) == 0.0


@pytest.mark.parametrize(("count", "size"), [(5, 512), (17, 37), (17, 512), (131, 192)])
def test_equal_candidates_tie_exactly_wherever_they_stand(count: int, size: int) -> None:
    """A plain matrix product may round equal columns differently; then one of two twins would win by chance."""
    rng = np.random.default_rng(0)
    images = unit_rows(rng.standard_normal((count, size)), what="images")
    texts = unit_rows(images + 0.5 * rng.standard_normal((count, size)), what="texts")
    twins = np.concatenate([images, images[::-1]])
    alone = metrics.text_to_image_ranks(texts, images, range(count))
    for budget in (1, count * 32, SCORE_BUDGET):
        # Whoever was ahead now is twice, and the right image's own twin ties and stands before it.
        found = metrics.text_to_image_ranks(texts, twins, range(count), budget=budget)
        assert found.tolist() == (2 * alone + 1).tolist()


def test_negative_zero_is_zero() -> None:
    images = np.array([[0.0, 1.0], [-0.0, 1.0]])
    assert metrics.text_to_image_ranks([[1.0, 1.0]], images, [0]).tolist() == [1]


def test_memory_stays_near_the_budget() -> None:
    import tracemalloc

    rng = np.random.default_rng(0)
    texts, images = rng.standard_normal((4000, 8)), rng.standard_normal((4000, 8))  # all scores: 128 MB in float64
    tracemalloc.start()
    try:
        metrics.text_to_image_ranks(texts, images, range(4000), budget=2**20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_an_error(value: float) -> None:
    texts = np.ones((3, 2))
    texts[1, 0] = value
    with pytest.raises(DataError, match="1 of 3 rows are not finite, the first is row 1"):
        metrics.text_to_image_ranks(texts, np.ones((3, 2)), [0, 1, 2])
    with pytest.raises(DataError, match="gallery features"):
        metrics.image_to_text_ranks(texts, np.ones((3, 2)), [0, 1, 2])


@pytest.mark.parametrize(
    ("queries", "gallery", "images", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), ([0, 1], [0, 1]), "3 dimensions, the gallery has 4"),
        (np.ones((2, 3)), np.ones((2, 3)), ([0, 2], [0, 1]), "query 1 has no right candidate"),
        (np.ones((2, 3)), np.ones((2, 3)), ([0], [0, 1]), "2 queries and 2 candidates, but images of 1 and 2"),
        (np.ones(3), np.ones((2, 3)), ([0], [0]), r"shape \(3,\)"),
        (np.ones((0, 3)), np.ones((2, 3)), ([], []), r"shape \(0, 3\)"),
    ],
)
def test_what_does_not_fit_is_an_error(queries: Any, gallery: Any, images: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        metrics.ranks(queries, gallery, images)


rank_lists = st.lists(st.integers(0, 30), min_size=1, max_size=40)


@given(rank_lists, rank_lists)
def test_scores_equal_their_formulas(one: list[int], two: list[int]) -> None:
    assert metrics.recall_at(one, 5) == pytest.approx(100 * len([r for r in one if r in range(5)]) / len(one))
    assert metrics.median_rank(one) == statistics.median([r + 1 for r in one])
    assert metrics.mean_reciprocal_rank(one) == pytest.approx(100 * sum(1 / (r + 1) for r in one) / len(one))
    six = [sum(r < k for r in side) / len(side) for side in (one, two) for k in (1, 5, 10)]
    assert metrics.mean_recall(one, two) == pytest.approx(100 * sum(six) / 6)


def test_no_queries_is_an_error() -> None:
    for score in (lambda: metrics.recall_at([], 1), lambda: metrics.bootstrap_interval([], [])):
        with pytest.raises(DataError, match="no queries"):
            score()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=20), st.integers(0, 9))
def test_bootstrap_equals_drawing_images_one_by_one(values: list[tuple[int, bool]], seed: int) -> None:
    images = sorted({image for image, _ in values})
    rng = np.random.default_rng(seed)
    means = []
    for chosen in rng.integers(0, len(images), size=(50, len(images))):
        drawn = [float(hit) for place in chosen for image, hit in values if image == images[place]]
        means.append(sum(drawn) / len(drawn))
    found = metrics.bootstrap_interval(
        [hit for _, hit in values], [image for image, _ in values], draws=50, seed=seed
    )
    assert found == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_bootstrap_interval_has_the_width_of_theory() -> None:
    """For a share p over n independent images the interval is close to p ± 1.96 √(p(1−p)/n)."""
    hits = np.arange(2000) % 10 < 3
    low, high = metrics.bootstrap_interval(100.0 * hits, np.arange(2000), draws=4000)
    half = 196 * (0.3 * 0.7 / 2000) ** 0.5
    assert (low, high) == pytest.approx((30 - half, 30 + half), abs=0.15)


def test_bootstrap_widens_when_captions_share_an_image() -> None:
    hits = np.repeat(np.arange(200) % 2 == 0, 5)
    alone = metrics.bootstrap_interval(hits, np.arange(1000))
    shared = metrics.bootstrap_interval(hits, np.repeat(np.arange(200), 5))
    assert (shared[1] - shared[0]) / (alone[1] - alone[0]) == pytest.approx(5**0.5, rel=0.15)


@given(st.dictionaries(st.sampled_from(["en", "de", "fr", "th", "hi"]), st.floats(0, 100), min_size=1))
def test_language_measures_equal_their_formulas(scores: dict[str, float]) -> None:
    values = list(scores.values())
    found = metrics.disparity(scores)
    assert found["standard_deviation"] == pytest.approx(statistics.pstdev(values), abs=1e-9)
    assert found["range"] == pytest.approx(max(values) - min(values))
    others = [score for code, score in scores.items() if code != "en"]
    if "en" in scores and others:
        assert metrics.gaps(scores) == {code: scores["en"] - s for code, s in scores.items() if code != "en"}
        assert found["mean_absolute_gap"] == pytest.approx(sum(abs(scores["en"] - s) for s in others) / len(others))
        assert found["worst_gap"] == pytest.approx(scores["en"] - min(others))
    else:
        assert set(found) == {"standard_deviation", "range"}


def test_no_languages_is_an_error() -> None:
    with pytest.raises(DataError, match="no language"):
        metrics.disparity({})


def test_the_worked_example_in_the_documentation_is_true() -> None:
    result = doctest.testmod(metrics)
    assert result.attempted >= 5
    assert result.failed == 0
