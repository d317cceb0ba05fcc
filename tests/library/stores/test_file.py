"""The store in a file holds what a dictionary would, whatever happens, and finds what comparing everything finds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from glotclip.errors import ConfigError, StorageError
from glotclip.library.stores import open_store

DIM = 5
some = st.lists(st.integers(0, 30), unique=True, max_size=12)


def unit(seed: int, count: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


class Store(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"file:{self.folder.name}/vectors"
        self.store = open_store(self.url, DIM, create=True)
        self.expected: dict[int, np.ndarray] = {}

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(rows=some, seed=st.integers(0, 9))
    def add(self, rows: list[int], seed: int) -> None:
        vectors = unit(seed, len(rows))
        self.store.add(np.array(rows, np.int64), vectors)
        self.expected |= dict(zip(rows, vectors, strict=True))

    @rule(rows=some)
    def delete(self, rows: list[int]) -> None:
        self.store.delete(np.array(rows, np.int64))
        for row in rows:
            self.expected.pop(row, None)

    @rule()
    def compact(self) -> None:
        self.store.compact()
        size = Path(self.url.removeprefix("file:")).stat().st_size
        assert size == len(self.expected) * (8 + 2 * DIM)

    @rule(cut=st.integers(0, 17))
    def reopen(self, cut: int) -> None:
        """Close, leave a part of a record behind as a kill does, and open again."""
        self.store.close()
        with Path(self.url.removeprefix("file:")).open("ab") as stream:
            stream.truncate(stream.tell() // (8 + 2 * DIM) * (8 + 2 * DIM))  # as whoever appends does first
            stream.write(b"\1" * cut)
        self.store = open_store(self.url, DIM)

    @invariant()
    def holds(self) -> None:
        rows = np.array(sorted(self.expected), np.int64)
        np.testing.assert_array_equal(self.store.rows(), rows)
        assert len(self.store) == len(rows)
        if len(rows):
            vectors = np.stack([self.expected[row] for row in rows.tolist()])
            np.testing.assert_allclose(self.store.get(rows), vectors, atol=1e-3)
            query = unit(99, 1)
            found, scores = self.store.search(query, len(rows) + 2)
            assert sorted(found[0, : len(rows)].tolist()) == rows.tolist()
            assert found[0, len(rows) :].tolist() == [-1, -1]
            np.testing.assert_array_equal(scores[0, : len(rows)], self.store.scores(query[0], found[0, : len(rows)]))
            assert (np.diff(scores[0, : len(rows)]) <= 0).all()


def test_any_sequence_of_changes_is_held() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Store, settings=settings(max_examples=40, stateful_step_count=15, deadline=None))


def test_ties_are_in_the_order_of_rows_and_filters_hold(tmp_path: Path) -> None:
    store = open_store(f"file:{tmp_path / 'v'}", DIM, create=True)
    one = unit(0, 1)
    rows = np.arange(20_000, dtype=np.int64)
    store.add(rows, np.repeat(one, len(rows), axis=0))
    found, _ = store.search(np.concatenate([one, -one]), 5)
    assert found.tolist() == [[0, 1, 2, 3, 4]] * 2
    among = np.array([7, 9_000, 19_999, 30_000], np.int64)
    assert store.search(one, 5, among)[0].tolist() == [[7, 9_000, 19_999, -1, -1]]


def test_readers_keep_what_they_opened(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'v'}"
    writer = open_store(url, DIM, create=True)
    writer.add(np.arange(10, dtype=np.int64), unit(0, 10))
    writer.flush()
    reader = open_store(url, DIM)
    before = reader.get(reader.rows())
    writer.delete(np.arange(5, dtype=np.int64))
    writer.compact()
    np.testing.assert_array_equal(reader.get(reader.rows()), before)
    assert len(open_store(url, DIM)) == 5


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no vectors"):
        open_store(f"file:{tmp_path / 'v'}", DIM)
    with pytest.raises(ConfigError, match="no address"):
        open_store("ftp://x", DIM)
    store = open_store(f"file:{tmp_path / 'v'}", DIM, create=True)
    with pytest.raises(StorageError, match="lacks"):
        store.get(np.array([3], np.int64))
