"""Several processes encode one library's files, as under torchrun; each keeps its share in a part of its own.

A catalogue is changed by one process at a time. So each process fills a small library in ``parts/``, of the files
that fall to it by their names, and the first one takes the parts over when all are done. Parts that a killed run left
are taken over by the next one, whether that has several processes or one: nothing is encoded twice.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glotclip.library import records, scanning, upkeep
from glotclip.library.catalogue import FILE, Catalogue
from glotclip.library.indexing import Indexer, Report
from glotclip.library.records import Model
from glotclip.storage import disk_errors, read_json, write_json

if TYPE_CHECKING:
    from glotclip.library.encoder import Encoder
    from glotclip.library.library import Library
    from glotclip.library.stores.protocol import VectorStore

PARTS, PLACES = "parts", "places.json"
_BATCH = 500  # items that are taken over at once
_COLUMNS = "digest, kind, taken, tz, dated_by, lat, lon, camera, lens, w, h, duration, dhash"
_FACTS = "name, size, mtime_ns, ctime_ns, dev, ino, settled, motion"


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


@dataclass(slots=True)
class Merged:
    """What was taken over from parts: how many contents, and the files by their paths."""

    items: int = 0
    files: set[bytes] = field(default_factory=set)


def index(
    share: Share, library: Library, folders: Sequence[str | Path], *, encoder: Encoder, **options: Any
) -> Report:
    """Encode this process's share, and in the first process, what is left to do when all have theirs.

    Args:
        share: which process this is.
        library: that all processes have open.
        folders: as for :meth:`glotclip.library.library.Library.index`.
        encoder: likewise.
        options: likewise.

    Returns:
        In the first process the report of all; in others what they encoded.
    """
    if share.world == 1:
        return library.index(folders, encoder=encoder, **options)
    listing = library.path / PARTS / PLACES
    if share.rank == 0:
        places = library.prepare(folders, encoder, options.get("exclude"))
        take_over(library, encoder)
        write_json(listing, [os.fsencode(each).hex() for each in places])
    share.wait()
    chosen = [Path(os.fsdecode(bytes.fromhex(each))) for each in read_json(listing)]
    report = _encoded(library, share, chosen, encoder, **options)
    share.wait()
    if share.rank:
        return report
    merged = take_over(library, encoder)
    report = library.index(folders, encoder=encoder, **options)
    report.encoded += merged.items
    report.unchanged -= len(merged.files)
    return report


def _encoded(library: Library, share: Share, places: Sequence[Path], encoder: Encoder, **options: Any) -> Report:
    """Encode the new files that fall to a process into its part."""
    scan = scanning.scan(library.catalogue, places)
    # The moving part of a live photo belongs to its still, wherever that falls; there are few.
    mine = [each for each in scan.fresh if each.still is None and share.has(each.path)]
    model = library.model(encoder.fingerprint)
    has = "EXISTS (SELECT 1 FROM vec WHERE vec.item = item.id AND model = ?)"
    elsewhere = library.catalogue.rows(
        f"SELECT digest FROM item WHERE state = ? OR {has}", (records.FORGOTTEN, model.id)
    )
    with library.part(str(share.rank), create=True) as part:
        part.prepare([root.path for root in library.roots], encoder, None)
        own = part.model(encoder.fingerprint)
        with part.writing(), part.changing_store(own, create=True) as store:
            upkeep.reconcile(part.catalogue, own, store)
            indexer = Indexer(
                part.catalogue, store, own, encoder, elsewhere={digest for (digest,) in elsewhere},
                **{name: options[name] for name in ("batch", "threads", "progress") if name in options},
            )  # fmt: skip
            return indexer.run(scanning.Scan(fresh=mine))


def take_over(library: Library, encoder: Encoder) -> Merged:
    """Take over what parts have of an encoder's model."""
    with library.writing(), disk_errors(library.path, "--library"):
        model = library.use(encoder)
        with library.changing_store(model, create=True) as store:
            upkeep.reconcile(library.catalogue, model, store)
            return merge(library, model, store)


def merge(library: Library, model: Model, store: VectorStore) -> Merged:
    """Take over what parts have of a model, and remove them; a part of another model stays until that indexes."""
    merged = Merged()
    for place in sorted((library.path / PARTS).glob(f"*/{FILE}")):
        with library.part(place.parent.name) as part:
            own = next((each for each in part.models if each.fingerprint == model.fingerprint), None)
            if part.models and own is None:
                continue
            if own is not None:
                with part.changing_store(own) as theirs:
                    _take(merged, library.catalogue, model, store, part.catalogue, own, theirs)
        shutil.rmtree(place.parent)
    return merged


def _take(
    merged: Merged, catalogue: Catalogue, model: Model, store: VectorStore,
    part: Catalogue, own: Model, theirs: VectorStore,
) -> None:  # fmt: skip
    """Copy items, files and vectors, some at a time, each batch as a whole."""
    have = set(theirs.rows().tolist())  # a kill may have left fewer than the part's catalogue says
    for numbers in _batches([number for (number,) in part.rows("SELECT id FROM item ORDER BY id")]):
        with catalogue.changing() as db:
            moments, vectors = [], []
            for number in numbers:
                rows = part.rows("SELECT row, t FROM vec WHERE item = ? AND model = ? ORDER BY row", (number, own.id))
                if not rows or not have.issuperset(row for row, _ in rows):
                    continue
                item = _item(db, part.rows(f"SELECT {_COLUMNS} FROM item WHERE id = ?", (number,))[0])
                state = db.execute("SELECT state FROM item WHERE id = ?", (item,)).fetchone()[0]
                known = db.execute("SELECT 1 FROM vec WHERE item = ? AND model = ?", (item, model.id)).fetchone()
                if state == records.FORGOTTEN:
                    continue
                merged.files |= _files(db, part, number, item)
                if not known:
                    moments.append((item, [moment for _, moment in rows]))
                    vectors.append(theirs.get(np.array([row for row, _ in rows], np.int64)))
            if vectors:
                store.add(records.put_vectors(db, model, moments), np.concatenate(vectors))
                store.flush()
        merged.items += len(moments)


def _item(db: Any, values: tuple[Any, ...]) -> int:
    """The number of an item by its content; entered if it is new."""
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT OR IGNORE INTO item ({_COLUMNS}) VALUES ({marks})", values)
    return int(db.execute("SELECT id FROM item WHERE digest = ?", (values[0],)).fetchone()[0])


def _files(db: Any, part: Catalogue, number: int, item: int) -> set[bytes]:
    """Enter a part's files of an item."""
    found = set()
    columns = ", ".join(f"file.{name.strip()}" for name in _FACTS.split(","))
    for folder, name, *facts in part.rows(
        f"SELECT folder.path, {columns} FROM file JOIN folder ON folder.id = folder WHERE item = ?", (number,)
    ):
        records.copy_file(db, Path(os.fsdecode(folder)), item, (name, *facts), _FACTS)
        found.add(os.path.join(folder, name))  # noqa: PTH118 -- names are bytes
    return found


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + _BATCH] for start in range(0, len(numbers), _BATCH))
