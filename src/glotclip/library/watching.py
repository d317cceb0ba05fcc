"""Waiting for changes below folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from glotclip.errors import DataError, require

_QUIET = 2_000  # milliseconds without a change before it is told: files are seldom written in one go


def changes(folders: Sequence[Path]) -> Iterator[None]:
    """Yield after every burst of changes, until Ctrl-C.

    What has changed is not told: of a folder that was moved the system names the folder alone, so whoever listens
    looks at everything again, which costs one look at each file's facts.

    Raises:
        MissingExtraError: if watchfiles is not installed.
        DataError: if none of the folders is there.
    """
    watchfiles: Any = require("watchfiles", extra="library", purpose="following changes")
    there = [folder for folder in folders if folder.is_dir()]
    if not there:
        raise DataError("none of the library's folders is there", hint="mount the drive that they are on")
    for _ in watchfiles.watch(*there, debounce=60_000, step=_QUIET, raise_interrupt=True):
        yield
