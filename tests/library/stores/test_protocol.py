"""What every engine promises: the same answers, filters and deletions included."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.library.stores.conftest import GIVEN, Open

from glotclip.errors import StorageError
from glotclip.library.stores.exact import as_kept

DIM = 8
_numbers = count()


def vectors(number: int, seed: int, ties: bool = False) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(number, DIM)).astype(np.float32)
    if ties and number:
        made[1::2] = made[0]
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


# Milvus itself takes seconds for each.
@settings(max_examples=3 if GIVEN else 12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.integers(0, 60), gone=st.integers(0, 20), again=st.integers(0, 20), k=st.integers(1, 70),
    seed=st.integers(0, 99), ties=st.booleans(), share=st.sampled_from([None, 0.0, 0.1, 0.6, 1.0]),
)  # fmt: skip
def test_the_same_answers_as_comparing_all(
    opened: Open, number: int, gone: int, again: int, k: int, seed: int, ties: bool, share: float | None
) -> None:
    rng = np.random.default_rng(seed)
    store = opened(f"t{next(_numbers)}_{seed}")
    rows = np.sort(rng.choice(1000, number, replace=False)).astype(np.int64)
    held = dict(zip(rows.tolist(), vectors(number, seed, ties), strict=True))
    store.add(rows, np.array(list(held.values()), np.float32).reshape(number, DIM))
    for row in rng.permutation(rows)[:gone].tolist():
        del held[row]
    store.delete(np.array([*(set(rows.tolist()) - set(held)), 5000], np.int64))  # one was never there
    changed = rng.permutation(sorted(held))[:again]
    new = vectors(len(changed), seed + 1)
    store.add(changed, new)
    held |= dict(zip(changed.tolist(), new, strict=True))
    store.flush()
    kept = np.array(sorted(held), np.int64)
    assert len(store) == len(kept) and np.array_equal(store.rows(), kept)
    table = as_kept(np.array([held[row] for row in kept.tolist()], np.float32).reshape(len(kept), DIM))
    np.testing.assert_array_equal(store.get(kept), table)
    among = None if share is None else kept[rng.random(len(kept)) < share]
    queries = vectors(2, seed + 2)
    found, scores = store.search(queries, k, among)
    assert found.shape == scores.shape == (2, k)
    places = np.arange(len(kept)) if among is None else np.flatnonzero(np.isin(kept, among))
    for query, own, their in zip(queries, found, scores, strict=True):
        cosines = np.einsum("ne,e->n", table[places], query)
        order = np.lexsort((kept[places], -cosines))[:k]
        assert own[: len(order)].tolist() == kept[places][order].tolist()
        assert np.array_equal(their[: len(order)], cosines[order])
        assert (own[len(order) :] == -1).all() and np.isneginf(their[len(order) :]).all()
        np.testing.assert_array_equal(store.scores(query, kept), np.einsum("ne,e->n", table, query))
    store.close()


def test_what_was_written_is_there_when_opened_again(opened: Open) -> None:
    store = opened("again")
    rows, made = np.arange(50, dtype=np.int64), vectors(50, 1)
    store.add(rows, made)
    store.delete(rows[:10])
    store.flush()
    store.compact()
    other = opened("again", create=False)
    assert other.rows().tolist() == rows[10:].tolist()
    np.testing.assert_array_equal(other.get(rows[10:]), as_kept(made[10:]))


def test_what_there_is_not(opened: Open) -> None:
    with pytest.raises(StorageError, match="there are no vectors"):
        opened("nowhere", create=False)
    store = opened("few")
    store.add(np.array([1], np.int64), vectors(1, 0))
    store.flush()
    with pytest.raises(StorageError, match="lacks"):
        store.get(np.array([1, 2], np.int64))


def test_many(opened: Open) -> None:
    """More rows than an engine gives at once, and than a filter names at once."""
    number = 6000
    store, made = opened("many"), vectors(number, 3)
    rows = np.arange(number, dtype=np.int64)
    store.add(rows, made)
    store.flush()
    assert len(store.rows()) == number
    found, _ = store.search(made[:1], 5, among=rows[500:5500])
    expected = np.lexsort((rows[500:5500], -np.einsum("ne,e->n", as_kept(made[500:5500]), made[0])))[:5] + 500
    assert found[0].tolist() == expected.tolist()


def test_what_is_removed_leaves_nothing(opened: Open) -> None:
    store = opened("removed")
    store.add(np.arange(5, dtype=np.int64), vectors(5, 1))
    store.flush()
    store.remove()
    with pytest.raises(StorageError, match="no vectors"):
        opened("removed", create=False)
    assert len(opened("removed")) == 0
