"""Rows held out for testing, where data does not say itself which those are.

Rows hang together that show one image (by group, by path, by content), have one English counterpart, or are one
text in one language: whatever could tell a model the answer. Such a cluster is held out or trained on as a whole.
Whether it is follows from a hash of its own name alone, so that rows added later move no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from glotclip.data.digests import alike
from glotclip.data.reading import check_hold_out
from glotclip.data.schema import Corpus, Row

#: Fewer clusters with images than this are all trained on: a gallery of one or two tells nothing.
FEWEST = 20


def hold_out(corpus: Corpus, share: float, root: Path) -> Corpus:
    """Hold a share of a corpus's rows out for testing, unless it is divided already.

    Args:
        corpus: of which each row is in split "train".
        share: of the clusters with an image or video, 0 to 1; 0 leaves the corpus as it is.
        root: the folder that paths are named from, so that a copy elsewhere is divided the same.

    Returns:
        The corpus with all its rows, the held-out ones of split "test", and a note that says what was done or why
        nothing was.
    """
    if corpus.divided or not check_hold_out(share):
        return corpus
    rows = corpus.rows
    shown = [each for each in _clusters(rows) if any(rows[place].image or rows[place].video for place in each)]
    chosen: set[int] = set()
    if not shown:
        note = "nothing is held out for testing: no row has an image or video"
    elif len(shown) < FEWEST and share < 1:
        more = " (one text or English counterpart may join many)" if len(rows) > FEWEST * 2 else ""
        why = f"{len(shown)} images or texts that hang together are fewer than {FEWEST}{more}"
        note = f"nothing is held out for testing: {why}"
    else:
        ranked = sorted((place_of(_name(rows, each, root)), each) for each in shown)
        held = [each for rank, each in ranked if rank < share] or [ranked[0][1]]
        chosen = {place for each in held for place in each}
        note = (
            f"no row says its split: {len(held):,} of {len(shown):,} images with all that hangs together with them "
            f"({len(chosen):,} of {len(rows):,} rows) are held out for testing (--hold-out {share:g}; 0 trains on "
            "all)"
        )
    divided = tuple(replace(row, split="test") if place in chosen else row for place, row in enumerate(rows))
    return replace(corpus, rows=divided, notes=(*corpus.notes, note))


def _clusters(rows: Sequence[Row]) -> list[list[int]]:
    """Return the places of rows that hang together, cluster by cluster."""
    parent = list(range(len(rows)))

    def root_of(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    same = alike(row.image or row.video for row in rows)
    first: dict[object, int] = {}
    for place, row in enumerate(rows):
        for tie in _ties(row, same):
            parent[root_of(place)] = root_of(first.setdefault(tie, place))
    found: dict[int, list[int]] = {}
    for place in range(len(rows)):
        found.setdefault(root_of(place), []).append(place)
    return list(found.values())


def _ties(row: Row, same: dict[Path, Path]) -> Iterator[object]:
    """Yield what joins a row to others."""
    if row.group is not None:
        yield "group", row.group
    for medium in (row.image, row.video):
        if medium is not None:
            yield "file", same.get(medium, medium)
    english = row.text if row.lang == "en" else row.english
    if english is not None:
        yield "text", "en", english.casefold()
    if row.lang != "en":
        yield "text", row.lang, row.text.casefold()


def _name(rows: Sequence[Row], cluster: Iterable[int], root: Path) -> str:
    """Name a cluster by the least of its groups, else of its files, else of its texts."""
    own = [rows[place] for place in cluster]
    home = root.absolute()
    files = (row.image or row.video for row in own)
    named = [_relative(path, home) for path in files if path is not None]
    return min(
        [row.group for row in own if row.group is not None] or named or [row.english or row.text for row in own]
    )


def _relative(path: Path, home: Path) -> str:
    return (path.relative_to(home) if path.is_relative_to(home) else path).as_posix()


def place_of(name: str) -> float:
    """Return a number between 0 and 1 that a name alone decides, evenly drawn."""
    return int.from_bytes(hashlib.sha256(name.encode(errors="surrogatepass")).digest()[:7], "big") / 2**56
