"""One store, or several on one folder, in many threads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import numpy.typing as npt
import pytest

from glotclip.data.feature_store import KEY_BYTES, FeatureStore

KEYS = [number.to_bytes(KEY_BYTES, "big") for number in range(240)]


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Threads switch as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def add(store: FeatureStore, places: npt.NDArray[np.int64]) -> None:
    features = np.repeat(places[:, None], 3, axis=1).astype(np.float32)
    store.append([KEYS[place] for place in places], features)


def test_threads_add_to_one_folder(tmp_path: Path) -> None:
    def fill(thread: int) -> None:
        mine = FeatureStore(tmp_path)
        order = np.random.default_rng(thread).permutation(len(KEYS))
        for some in np.array_split(order, 20):
            add(mine, some)
            array, rows = mine.gather([KEYS[place] for place in some])
            np.testing.assert_array_equal(array[rows, 0], some)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fill, range(8)))
    store = FeatureStore(tmp_path)
    array, rows = store.gather(KEYS)
    assert store.count == len(KEYS) == len(array)
    np.testing.assert_array_equal(array[rows, 2], np.arange(len(KEYS)))


@pytest.mark.slow
def test_threads_share_one_object_while_another_adds(tmp_path: Path) -> None:
    shared, over = FeatureStore(tmp_path), Event()

    def follow(_: int) -> None:
        while not over.is_set():
            shared.refresh()

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(follow, thread) for thread in range(8)]
        try:
            writer = FeatureStore(tmp_path)
            for some in np.array_split(np.arange(len(KEYS)), 120):
                add(writer, some)
        finally:
            over.set()
        for job in running:
            job.result(60)
    shared.refresh()
    assert shared.count == len(KEYS)
    array, rows = shared.gather(KEYS)
    np.testing.assert_array_equal(array[rows, 2], np.arange(len(KEYS)))
