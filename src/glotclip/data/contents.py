"""Which files hold the same content, without reading more than is needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from glotclip.storage import file_sha256

#: More files than this are not compared: asking the disk for the size of each would take long.
MOST = 50_000


def alike(paths: Iterable[Path | None], most: int = MOST) -> dict[Path, Path]:
    """Return, for each file that another one equals, the first of those with that content.

    Sizes are compared first; only files of one size are read. A file that cannot be read equals no other.

    Args:
        paths: files; None and repetitions are passed over.
        most: with more files than this, nothing is compared and nothing returned.
    """
    files = [path for path in dict.fromkeys(paths) if path is not None]
    if len(files) > most:
        return {}
    by_size: dict[int, list[Path]] = {}
    for path in files:
        try:
            by_size.setdefault(path.stat().st_size, []).append(path)
        except OSError:
            continue
    same: dict[Path, Path] = {}
    for size, of_size in by_size.items():
        if len(of_size) < 2 or not size:
            continue
        first: dict[str, Path] = {}
        for path in of_size:
            try:
                kept = first.setdefault(file_sha256(path), path)
            except OSError:
                continue
            if kept != path:
                same[path] = same[kept] = kept
    return same
