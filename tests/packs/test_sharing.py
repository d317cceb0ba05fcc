"""The lock that many may share: who waits for whom."""

from __future__ import annotations

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from glotclip.packs.sharing import SharedLock


def test_readers_share_and_a_writer_is_alone() -> None:
    lock, inside, most = SharedLock(), {"readers": 0, "writers": 0}, {"readers": 0}
    guard, together = threading.Lock(), threading.Barrier(3)

    def enter(kind: str, change: int) -> None:
        with guard:
            inside[kind] += change
            most["readers"] = max(most["readers"], inside["readers"])
            assert inside["writers"] <= 1 and not (inside["writers"] and inside["readers"])

    def read(number: int) -> None:
        with lock.shared():
            enter("readers", 1)
            if number < 3:
                together.wait(10)  # three are inside at once, or this breaks
            enter("readers", -1)

    def write(_: int) -> None:
        with lock.alone():
            enter("writers", 1)
            enter("writers", -1)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(read, number) for number in range(3)]:
            done.result(10)
        jobs = [pool.submit(write if number % 3 == 0 else read, number + 3) for number in range(600)]
        for done in jobs:
            done.result(10)
    assert most["readers"] >= 3


def test_a_waiting_writer_goes_before_later_readers() -> None:
    lock, order = SharedLock(), list[str]()

    def write() -> None:
        with lock.alone():
            order.append("writer")

    def read() -> None:
        with lock.shared():
            order.append("reader")

    with lock.shared():
        writer = threading.Thread(target=write)
        writer.start()
        while not lock._writers_waiting:
            pass
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(0.05)
        assert order == []
    writer.join(10)
    reader.join(10)
    assert order == ["writer", "reader"]


def test_an_error_inside_gives_the_lock_back() -> None:
    lock = SharedLock()
    for way in (lock.shared, lock.alone):
        with pytest.raises(ZeroDivisionError), way():
            raise ZeroDivisionError
    with lock.alone():
        copies = [copy.deepcopy(lock), pickle.loads(pickle.dumps(lock))]
    for fresh in copies:
        with fresh.alone():
            pass
