"""A lock that many may hold at once, or one alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class SharedLock:
    """Readers share it; a writer waits for them, and whoever comes after the writer waits for the writer.

    It is not re-entrant: a thread that holds it in one way must not ask for it again. A copy, pickled or not, is a
    fresh lock that nobody holds, so that objects with such a lock can be copied.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.Lock())
        self._readers = 0
        self._writing = False
        self._writers_waiting = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold it beside other readers."""
        with self._condition:
            # A waiting writer goes first, or a steady stream of readers would keep it out for ever.
            self._condition.wait_for(lambda: not self._writing and not self._writers_waiting)
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                self._condition.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it with no other reader or writer."""
        with self._condition:
            self._writers_waiting += 1
            try:
                self._condition.wait_for(lambda: not self._writing and not self._readers)
                self._writing = True
            finally:
                self._writers_waiting -= 1
                self._condition.notify_all()  # where the wait was interrupted, readers must not go on waiting for us
        try:
            yield
        finally:
            with self._condition:
                self._writing = False
                self._condition.notify_all()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()
