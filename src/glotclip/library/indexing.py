"""Bringing a library up to date: what is new is decoded ahead by threads, encoded in batches, and committed by batch.

A batch is entered into the catalogue and added to the store in one transaction of the catalogue, which is committed
last: a kill loses one batch of work, and what it leaves in the store has numbers that the catalogue gives again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from glotclip.data.digests import DigestIndex, Facts
from glotclip.data.schema import SkippedItem
from glotclip.errors import ImageError, MissingExtraError, VideoError
from glotclip.library import records
from glotclip.library.catalogue import Catalogue
from glotclip.library.decoding import VIDEO, Decoded, dated, decode_image, decode_video, is_motion
from glotclip.library.encoder import Encoder
from glotclip.library.records import Model
from glotclip.library.scanning import Candidate, Scan
from glotclip.library.scenes import merge_scenes
from glotclip.library.stores.protocol import VectorStore

BATCH = 32
_ATTACHED = 500  # files whose content is known already are entered by so many
FORGOTTEN = "forgotten at your wish"


@dataclass(slots=True)
class Report:
    """What became of the files.

    Attributes:
        encoded: contents that were new and are encoded now.
        unchanged: files that were known.
        renamed: files known under another name, or in another place.
        copied: further files with a content that is in the library.
        paired: moving parts of live photos, found by their stills.
        removed: files that are gone.
        skipped: what is not in the library, and why.
        items: how many pictures and videos the library shows now.
        seconds: that it took.
    """

    encoded: int = 0
    unchanged: int = 0
    renamed: int = 0
    copied: int = 0
    paired: int = 0
    removed: int = 0
    skipped: list[SkippedItem] = field(default_factory=list)
    items: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """A candidate that was looked at: with what it holds, or why that cannot be used."""

    candidate: Candidate
    facts: Facts | None = None
    digest: bytes = b""
    settled: bool = False
    decoded: Decoded | None = None
    finished: bool = False
    motion: bool = False
    fault: str = ""


class Todo(NamedTuple):
    """Files to be looked at; so many of them are unchanged, but have no vectors of the model."""

    candidates: list[Candidate]
    unchanged: int
    skipped: list[SkippedItem]


def to_look_at(catalogue: Catalogue, model: Model, scan: Scan) -> Todo:
    """What of a scan has to be looked at: fresh files, and known ones without vectors of a model."""
    passed = {
        number
        for (number,) in catalogue.rows(
            "SELECT id FROM item WHERE state = ? OR id IN (SELECT item FROM vec WHERE model = ?)",
            (records.FORGOTTEN, model.id),
        )
    }
    videos = {number for (number,) in catalogue.rows("SELECT id FROM item WHERE kind = ?", (VIDEO,))}
    lacking = [
        (known, Path(os.fsdecode(known.path)))
        for known in scan.unchanged
        if known.item not in passed and not known.motion
    ]
    moved = [(known, path) for known, path, _ in scan.moved if known.item not in passed]
    todo = Todo(list(scan.fresh), len(lacking), [])
    for known, path in (*lacking, *moved):
        try:
            todo.candidates.append(Candidate(path, path.stat(), known, known.item in videos))
        except OSError as error:
            todo.skipped.append(SkippedItem(str(path), None, error.strerror or str(error)))
    return todo


class Indexer:
    """Brings one model's vectors up to date.

    Args:
        catalogue: of the library, held by this process alone.
        store: of the model's vectors.
        model: as entered in the catalogue.
        encoder: the model.
        batch: pictures that are encoded at once.
        threads: that decode ahead.
        progress: called with (done, total) files.
        elsewhere: digests of contents that are passed over, since another catalogue has them.
        finished: gives the content of a digest with its vectors, if those are at hand; called by several threads.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        store: VectorStore,
        model: Model,
        encoder: Encoder,
        *,
        batch: int = BATCH,
        threads: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        elsewhere: Collection[bytes] = (),
        finished: Callable[[bytes], Decoded | None] = lambda digest: None,
    ) -> None:
        self._elsewhere, self._finished = frozenset(elsewhere), finished
        self.catalogue, self.store, self.model, self.encoder = catalogue, store, model, encoder
        self.batch, self.progress = batch, progress
        self.threads = threads or min(8, os.cpu_count() or 1)
        self.report = Report()
        self._digests = DigestIndex()
        self._claims = threading.Lock()
        self._taken: set[bytes] = set()  # contents that are encoded, or that a thread has decoded for it
        self._items: dict[bytes, int] = {}  # contents that are in the catalogue with vectors of the model
        self._forgotten: set[bytes] = set()
        self._waiting: dict[bytes, list[_Seen]] = {}  # further files of a content that is not committed yet
        self._failed: dict[bytes, str] = {}  # contents that cannot be used, and why
        self._full: list[_Seen] = []
        self._pictures = 0  # in the full batch, frames of videos included
        self._known: list[_Seen] = []
        self._gained: Counter[tuple[int, bool]] = Counter()
        self._lost: Counter[tuple[int, bool]] = Counter()  # by files that are gone
        self._replaced: Counter[tuple[int, bool]] = Counter()  # by files that hold something else now

    def run(self, scan: Scan) -> Report:
        """Do what a scan found to be done. Items that no file has any more are left to the caller."""
        began = time.monotonic()
        self._load()
        self.report.skipped += scan.skipped
        self._move(scan)
        todo = to_look_at(self.catalogue, self.model, scan)
        self.report.unchanged -= todo.unchanged
        self.report.skipped += todo.skipped
        # Stills come before what may be the moving part of one.
        ordered = sorted(todo.candidates, key=lambda each: (each.still is not None, each.video))
        for done, seen in enumerate(self._looked_at(ordered), start=1):
            self._take(seen)
            self.progress(done, len(ordered))
        self._commit()
        self._digests.save()
        self._remove(scan)
        self._count()
        self.report.seconds = time.monotonic() - began
        return self.report

    @property
    def contents(self) -> set[bytes]:
        """Digests of what has vectors of the model, or was forgotten."""
        return self._items.keys() | self._forgotten

    def _load(self) -> None:
        """Read which contents have vectors."""
        for digest, number, state, has in self.catalogue.rows(
            "SELECT digest, id, state, EXISTS (SELECT 1 FROM vec WHERE vec.item = item.id AND model = ?) FROM item",
            (self.model.id,),
        ):
            if state == records.FORGOTTEN:
                self._forgotten.add(digest)
            elif has:
                self._items[digest] = number
        self._taken = set(self._items)

    def _move(self, scan: Scan) -> None:
        now = time.time_ns()
        with self.catalogue.changing() as db:
            for known, path, facts in scan.moved:
                settled = facts.st_ctime_ns < now - 2_000_000_000
                before = records.move_file(db, known.id, path, facts.st_ctime_ns, settled=settled)
                self._gained[known.item, False] += 1
                self._lost[known.item, False] += 1
                if before is not None:
                    self._replaced[before, False] += 1
        self.report.unchanged += len(scan.unchanged)

    def _looked_at(self, todo: Sequence[Candidate]) -> Iterator[_Seen]:
        """Look at files in threads, ahead of what is consumed by a bounded number, in the order given."""
        ahead: deque[Future[_Seen]] = deque()
        with ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as pool:
            try:
                for candidate in todo:
                    # Of a video up to a hundred frames wait, so few videos may.
                    most = self.threads if candidate.video else 2 * self.batch + self.threads
                    while len(ahead) >= most:
                        yield ahead.popleft().result()
                    ahead.append(pool.submit(self._look, candidate))
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for each in ahead:
                    each.cancel()

    def decode(self, path: Path, *, video: bool) -> Decoded:
        """Read a file, ready to be encoded."""
        return (decode_video if video else decode_image)(path, self.encoder)

    def _look(self, candidate: Candidate) -> _Seen:
        path = candidate.path
        claimed = b""
        try:
            facts = Facts.of(path)
            settled = facts.settled(time.time_ns())
            if candidate.still is not None and is_motion(path):
                return _Seen(candidate, facts, settled=settled, motion=True)
            digest = self._digests.known(facts) or self._digests.compute(path, facts)
            with self._claims:
                if digest in self._taken or digest in self._forgotten or digest in self._elsewhere:
                    return _Seen(candidate, facts, digest, settled)
                self._taken.add(digest)
            claimed = digest
            finished = self._finished(digest)
            decoded = dated(finished or self.decode(path, video=candidate.video), path.name, facts.modified)
            return _Seen(candidate, facts, digest, settled, decoded, finished is not None)
        except (ImageError, VideoError, MissingExtraError) as error:
            hint = f" ({error.hint})" if isinstance(error, MissingExtraError) else ""
            return _Seen(candidate, digest=claimed, fault=error.message.removeprefix(f"{path} ") + hint)
        except (OSError, ValueError) as error:
            return _Seen(candidate, fault=getattr(error, "strerror", None) or str(error))
        except MemoryError:
            return _Seen(candidate, digest=claimed, fault="too large for this machine's memory")
        except Exception as error:  # noqa: BLE001 -- one file that a decoder fails on must not end the run
            return _Seen(candidate, digest=claimed, fault=f"unexpected {type(error).__name__}: {error}")

    def _take(self, seen: _Seen) -> None:
        """Put what was seen into the batch it belongs to, and commit that when it is full."""
        if seen.fault:
            self._fail(seen)
        elif seen.motion:
            self._pair(seen)
        elif seen.digest in self._elsewhere:
            return
        elif seen.digest in self._forgotten:
            self.report.skipped.append(SkippedItem(str(seen.candidate.path), None, FORGOTTEN))
        elif seen.decoded is not None:
            self._full.append(seen)
            self._pictures += len(seen.decoded.pixels)
        elif seen.digest in self._failed:
            self._fail(replace(seen, fault=self._failed[seen.digest]))
        elif seen.digest in self._items:
            self._known.append(seen)
        else:
            self._waiting.setdefault(seen.digest, []).append(seen)
        if self._pictures >= self.batch or len(self._full) + len(self._known) >= _ATTACHED:
            self._commit()

    def _fail(self, seen: _Seen) -> None:
        self.report.skipped.append(SkippedItem(str(seen.candidate.path), None, seen.fault))
        if not seen.digest:  # it could not be read at all: what was known of it may still hold
            return
        known = seen.candidate.known
        if known is not None:
            with self.catalogue.changing() as db:
                db.execute("DELETE FROM file WHERE id = ?", (known.id,))
            self._replaced[known.item, known.motion] += 1
        self._failed[seen.digest] = seen.fault
        for other in self._waiting.pop(seen.digest, []):  # the same content fails in the same way
            self._fail(replace(other, fault=seen.fault))

    def _pair(self, seen: _Seen) -> None:
        """Enter the moving part of a live photo beside its still, or as a video if that is not in the library."""
        self._commit()
        still = seen.candidate.still
        found: int | None = None
        if still is not None:
            found = self.catalogue.value(
                "SELECT item FROM file JOIN folder ON folder.id = folder WHERE folder.path = ? AND name = ?",
                (os.fsencode(still.parent), os.fsencode(still.name)),
            )
        if found is None or seen.facts is None:
            alone = seen.candidate
            self._take(self._look(Candidate(alone.path, alone.facts, alone.known, video=True)))
            return
        with self.catalogue.changing() as db:
            self._enter(db, seen, found)

    def _commit(self) -> None:
        """Encode the full batch, and enter it and the files of known contents."""
        full, known = self._full, self._known
        self._full, self._known, self._pictures = [], [], 0
        if not full and not known:
            return
        pixels = [each for seen in full if seen.decoded for each in seen.decoded.pixels]
        vectors = np.concatenate(
            [
                np.zeros((0, self.encoder.dim), np.float32),
                *(
                    self.encoder.encode_images(pixels[start : start + self.batch])
                    for start in range(0, len(pixels), self.batch)
                ),
            ]
        )
        with self.catalogue.changing() as db:
            moments, kept, start = [], [], 0
            for seen in full:
                if seen.decoded is None:
                    continue
                times, own = seen.decoded.times, seen.decoded.vectors
                if own is None:
                    stop = start + len(seen.decoded.pixels)
                    times, own = merge_scenes(times, vectors[start:stop])
                    start = stop
                item = records.put_item(db, seen.digest, seen.decoded)
                moments.append((item, times))
                kept.append(own)
                self._enter(db, seen, item, encoded=True)
                known += self._waiting.pop(seen.digest, [])
                self._items[seen.digest] = item
            for seen in known:
                self._enter(db, seen, self._items[seen.digest])
            if kept:
                rows = records.put_vectors(db, self.model, moments)
                self.store.add(rows, np.concatenate(kept))
                self.store.flush()
        finished = sum(seen.finished for seen in full)
        self.report.encoded += len(full) - finished
        self.report.unchanged += finished

    def _enter(self, db: sqlite3.Connection, seen: _Seen, item: int, *, encoded: bool = False) -> None:
        if seen.facts is None:
            return
        path, known = seen.candidate.path, seen.candidate.known
        before = records.put_file(db, path, item, seen.facts, settled=seen.settled, motion=seen.motion)
        if known is not None and known.item == item and known.motion == seen.motion:
            if not encoded:
                self.report.unchanged += 1  # touched, but the content is the same
        elif not encoded:
            self._gained[item, seen.motion] += 1
        if before is not None and known is not None:
            self._replaced[before, known.motion] += 1
            self._inherit(db, before, item)

    @staticmethod
    def _inherit(db: sqlite3.Connection, before: int, item: int) -> None:
        """What was hidden stays hidden when it is edited."""
        db.execute(
            "UPDATE item SET state = ? WHERE id = ? AND state = ? AND (SELECT state FROM item WHERE id = ?) = ?",
            (records.HIDDEN, item, records.SHOWN, before, records.HIDDEN),
        )

    def _remove(self, scan: Scan) -> None:
        with self.catalogue.changing() as db:
            for known in scan.gone:
                db.execute("DELETE FROM file WHERE id = ?", (known.id,))
                self._lost[known.item, known.motion] += 1

    def _count(self) -> None:
        """Tell renamed files from copies, and removed ones from renamed, by what each item lost and gained."""
        for key in {*self._gained, *self._lost}:
            gained, lost = self._gained[key], self._lost[key]
            renamed = min(gained, lost + self._replaced[key])
            self.report.renamed += renamed
            self.report.removed += lost - min(lost, renamed)
            if key[1]:
                self.report.paired += gained - renamed
            else:
                self.report.copied += gained - renamed
