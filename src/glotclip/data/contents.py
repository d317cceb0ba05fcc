"""Which files hold the same content, without reading more than is needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from glotclip.data.digests import DigestIndex

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
    several = [of_size for size, of_size in by_size.items() if len(of_size) > 1 and size]
    digests = DigestIndex().of_all([path for of_size in several for path in of_size]) if several else {}
    same: dict[Path, Path] = {}
    for of_size in several:
        first: dict[bytes, Path] = {}
        for path in of_size:
            if path not in digests:
                continue
            kept = first.setdefault(digests[path], path)
            if kept != path:
                same[path] = same[kept] = kept
    return same
