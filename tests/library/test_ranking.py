"""The lazy ranking is the one that comparing everything gives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.gallery.fusion import mixture
from glotclip.library.ranking import ranked
from glotclip.library.stores import open_store
from glotclip.library.stores.protocol import VectorStore

COUNT, DIM = 700, 8


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.standard_normal((count, DIM)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
    made = open_store(f"file:{tmp_path_factory.mktemp('store') / 'vectors'}", DIM, create=True)
    vectors = unit(np.random.default_rng(0), COUNT)
    vectors[1::7] = vectors[::7]  # equal ones: their order must be that of their rows
    made.add(np.arange(COUNT, dtype=np.int64) * 3 + 5, vectors)
    made.flush()
    yield made
    made.close()


@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([1, 7, 64]), st.booleans())
def test_the_order_is_that_of_all(store: VectorStore, seed: int, readings: int, first: int, some: bool) -> None:
    rng = np.random.default_rng(seed)
    queries, rows = unit(rng, readings), store.rows()
    weights = rng.dirichlet(np.ones(readings))
    among = np.sort(rng.choice(rows, 200, replace=False)) if some else None
    sample = store.get(rows)
    places = np.flatnonzero(np.isin(rows, among)) if among is not None else np.arange(len(rows))
    cosines = np.stack([store.scores(query, rows) for query in queries])
    fused = cosines[0] if readings == 1 else mixture(cosines, weights).sum(axis=0)
    expected = places[np.lexsort((rows[places], -fused[places]))]
    got = list(ranked(store, queries, list(weights), sample, among, first))
    assert len(got) == len(expected)
    found = np.searchsorted(rows, [each.row for each in got])
    # Values that differ in the last bits may change places.
    np.testing.assert_allclose(fused[found], fused[expected], atol=1e-6, rtol=1e-4)
    if readings == 1:
        np.testing.assert_array_equal(found, expected)
    for each in got[:20]:
        at = int(np.searchsorted(rows, each.row))
        assert each.score == pytest.approx(float(cosines[each.reading, at]), abs=1e-5)


def test_no_more_is_fetched_than_is_needed(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = store.search

    def search(queries: np.ndarray, k: int, among: np.ndarray | None = None) -> object:
        asked.append(k)
        return real(queries, k, among)

    monkeypatch.setattr(store, "search", search)
    query = unit(np.random.default_rng(1), 1)
    assert len(list(islice(ranked(store, query, [1.0], store.get(store.rows()), None, 16), 10))) == 10
    assert asked == [16]


def test_an_empty_store_has_no_answer(tmp_path: Path) -> None:
    empty = open_store(f"file:{tmp_path / 'vectors'}", DIM, create=True)
    nothing = np.zeros((0, DIM), np.float32)
    for readings in (1, 2):
        query = unit(np.random.default_rng(2), readings)
        assert list(ranked(empty, query, [1 / readings] * readings, nothing, None)) == []
