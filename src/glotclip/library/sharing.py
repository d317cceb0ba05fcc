"""Several processes encode one library's files, as under torchrun; each keeps its share in a part of its own.

A catalogue is changed by one process at a time. So each process encodes, into a small library in ``parts/``, the
contents of files that fall to it by their names; then the first one indexes as if it were alone, but finds these
contents encoded. Parts that a killed run left serve the next one in the same way, whether that has several processes
or one: nothing is encoded twice.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glotclip.library import records, scanning, upkeep
from glotclip.library.catalogue import FILE
from glotclip.library.decoding import Decoded
from glotclip.library.indexing import Indexer, Report, to_look_at
from glotclip.library.metadata import EXIF, Metadata
from glotclip.library.records import Model
from glotclip.storage import read_json, write_json

if TYPE_CHECKING:
    from glotclip.library.encoder import Encoder
    from glotclip.library.library import Library
    from glotclip.library.stores.protocol import VectorStore

PARTS, PLACES = "parts", "places.json"
_ENCODED = "SELECT digest FROM item WHERE EXISTS (SELECT 1 FROM vec WHERE vec.item = item.id AND model = ?)"


@dataclass(frozen=True, slots=True)
class Share:
    """Which of several processes this one is.

    Attributes:
        rank: from 0.
        world: how many there are.
        wait: returns when all processes have called it.
    """

    rank: int
    world: int
    wait: Callable[[], None]

    def has(self, path: Path) -> bool:
        """Whether a file falls to this process."""
        return zlib.crc32(os.fsencode(path)) % self.world == self.rank


def index(
    share: Share, library: Library, folders: Sequence[str | Path], *, encoder: Encoder, **options: Any
) -> Report:
    """Encode this process's share, and in the first process, bring the library up to date when all have theirs.

    Args:
        share: which process this is.
        library: that all processes have open.
        folders: as for :meth:`glotclip.library.library.Library.index`.
        encoder: likewise.
        options: likewise.

    Returns:
        In the first process the report of all, as one process alone would give it; in others what they encoded.
    """
    if share.world == 1:
        return library.index(folders, encoder=encoder, **options)
    listing = library.path / PARTS / PLACES
    if share.rank == 0:
        places = library.prepare(folders, encoder, options.get("exclude"))
        write_json(listing, [os.fsencode(each).hex() for each in places])
    share.wait()
    chosen = [Path(os.fsdecode(bytes.fromhex(each))) for each in read_json(listing)]
    model = library.model(encoder.fingerprint)
    known, before = _encoded(library, model), _in_parts(library, model)  # these are a killed run's
    share.wait()  # until all have seen them: from now on they grow
    report = _encode(library, share, chosen, encoder, known | before, **options)
    share.wait()
    if share.rank:
        return report
    new = _in_parts(library, model) - before - known
    report = library.index(folders, encoder=encoder, **options)
    entered = len(new & _encoded(library, model))
    report.encoded += entered
    report.unchanged -= entered
    return report


def _encoded(library: Library, model: Model) -> set[bytes]:
    """The contents that a library has vectors of."""
    return {digest for (digest,) in library.catalogue.rows(_ENCODED, (model.id,))}


def _in_parts(library: Library, model: Model) -> set[bytes]:
    """The contents that parts have vectors of."""
    with _opened(library, model) as found:
        return {digest for part, own in found for digest in _encoded(part, own)}


@contextmanager
def _opened(library: Library, model: Model) -> Iterator[list[tuple[Library, Model]]]:
    """Open the parts that have vectors of a model; those of another stay until that indexes."""
    with ExitStack() as stack:
        yield [
            (part, own)
            for place in sorted((library.path / PARTS).glob(f"*/{FILE}"))
            for part in [stack.enter_context(library.part(place.parent.name))]
            for own in part.models
            if own.fingerprint == model.fingerprint
        ]


def _encode(
    library: Library, share: Share, places: Sequence[Path], encoder: Encoder, known: Collection[bytes], **options: Any
) -> Report:
    """Encode what falls to a process into its part, but for known contents."""
    scan = scanning.scan(library.catalogue, places)
    todo = to_look_at(library.catalogue, library.model(encoder.fingerprint), scan)
    # The moving part of a live photo belongs to its still, wherever that falls; there are few.
    mine = [replace(each, known=None) for each in todo.candidates if each.still is None and share.has(each.path)]
    forgotten = library.catalogue.rows("SELECT digest FROM item WHERE state = ?", (records.FORGOTTEN,))
    with library.part(str(share.rank), create=True) as part:
        part.prepare([root.path for root in library.roots], encoder, None)
        own = part.model(encoder.fingerprint)
        with part.writing(), part.changing_store(own, create=True) as store:
            upkeep.reconcile(part.catalogue, own, store)
            indexer = Indexer(
                part.catalogue, store, own, encoder, elsewhere={*known, *(digest for (digest,) in forgotten)},
                **{name: options[name] for name in ("batch", "threads", "progress") if name in options},
            )  # fmt: skip
            return indexer.run(scanning.Scan(fresh=mine))


@dataclass(frozen=True, slots=True)
class _Part:
    """What a process has encoded with one model."""

    library: Library
    model: Model
    store: VectorStore

    def get(self, digest: bytes) -> Decoded | None:
        """A content with its vectors, or None."""
        rows = self.library.catalogue.rows
        found = rows(
            "SELECT row, t FROM vec WHERE item = (SELECT id FROM item WHERE digest = ?) AND model = ? ORDER BY row",
            (digest, self.model.id),
        )
        if not found:
            return None
        kind, by, width, height, duration, look, taken, tz, *about = rows(
            "SELECT kind, dated_by, w, h, duration, dhash, taken, tz, lat, lon, camera, lens FROM item "
            "WHERE digest = ?",
            (digest,),
        )[0]
        metadata = Metadata(None, None, None, *about)
        if by == EXIF:  # else the date is of the file that was read here: its name, or its time
            metadata = replace(metadata, taken=taken, tz=tz, dated_by=by)
        vectors = self.store.get(np.array([row for row, _ in found], np.int64))
        times = [moment for _, moment in found]
        return Decoded(kind, [], times, metadata, width, height, duration, look, vectors)


class Parts:
    """What processes have encoded for a library with a model, by content."""

    def __init__(self, found: Sequence[_Part]) -> None:
        self._parts = found
        self.done: list[Path] = []

    def get(self, digest: bytes) -> Decoded | None:
        """A content with its vectors, or None."""
        return next((found for part in self._parts if (found := part.get(digest)) is not None), None)

    def remove(self, taken: Collection[bytes] | None) -> None:
        """Remove, when they are closed, those whose contents are all among those taken over; with None, all."""
        self.done = [
            part.library.path
            for part in self._parts
            if taken is None or _encoded(part.library, part.model).issubset(taken)
        ]


@contextmanager
def parts(library: Library, model: Model) -> Iterator[Parts]:
    """Open what parts have of a model, which no other process may fill meanwhile."""
    with ExitStack() as stack:
        found: list[_Part] = []
        for part, own in stack.enter_context(_opened(library, model)):
            store = stack.enter_context(part.changing_store(own, create=True))
            upkeep.reconcile(part.catalogue, own, store)
            found.append(_Part(part, own, store))
        opened = Parts(found)
        yield opened
    for place in opened.done:
        shutil.rmtree(place)
