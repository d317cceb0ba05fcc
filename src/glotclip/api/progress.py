"""How functions that take long tell what they are doing."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # called with (what, done, total)


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
