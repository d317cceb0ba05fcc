"""What is written into a catalogue and read from it: files, items, models, rows of vectors."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glotclip.data.digests import Facts
from glotclip.errors import StorageError
from glotclip.library.catalogue import Catalogue
from glotclip.library.decoding import Decoded
from glotclip.library.encoder import Encoder
from glotclip.models.calibration import CONTRASTIVE, Calibration

SHOWN, HIDDEN, FORGOTTEN = 0, 1, 2
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a library has vectors of.

    Attributes:
        calibration: what its scores mean, as it was when it indexed last.
    """

    id: int
    fingerprint: str
    name: str
    source: str
    dim: int
    store_url: str
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Item:
    """What is known of a picture or video that the library shows.

    Attributes:
        id: its number.
        kind: image or video.
        paths: its files, never none; the moving part of a live photo last.
        taken: seconds since 1970 by the clock of the place.
        tz: minutes that this clock is ahead of UTC.
        dated_by: where ``taken`` comes from: exif, name, file.
        lat: degrees north.
        lon: degrees east.
        camera: make and model.
        lens: as the camera names it.
        width: pixels, upright.
        height: pixels, upright.
        duration: seconds, of a video.
        dhash: see :mod:`glotclip.library.hashes`.
    """

    id: int
    kind: str
    paths: tuple[Path, ...]
    taken: int | None
    tz: int | None
    dated_by: str | None
    lat: float | None
    lon: float | None
    camera: str | None
    lens: str | None
    width: int | None
    height: int | None
    duration: float | None
    dhash: int | None


def items(catalogue: Catalogue, numbers: Sequence[int]) -> dict[int, Item]:
    """Those of some items that the library shows; what is hidden, forgotten or without a file is not among them."""
    paths = paths_of(catalogue, numbers)
    return {
        number: Item(number, kind, tuple(paths[number]), *rest)
        for number, kind, state, *rest in catalogue.rows_of(
            "SELECT id, kind, state, taken, tz, dated_by, lat, lon, camera, lens, w, h, duration, dhash FROM item "
            "WHERE id IN ({})",
            numbers,
        )
        if state == SHOWN and paths[number]
    }


def models(catalogue: Catalogue) -> list[Model]:
    """The models of a library, the one that indexed last first."""
    return [
        Model(id, fingerprint, name, source, dim, url, CONTRASTIVE if slope is None else Calibration(slope, middle))
        for id, fingerprint, name, source, dim, url, slope, middle in catalogue.rows(
            "SELECT id, fingerprint, name, source, dim, store_url, slope, middle FROM model ORDER BY used DESC, id"
        )
    ]


def short(fingerprint: str) -> str:
    """What stands for a fingerprint in names of files and tables: of all of it, since some differ at the end only."""
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:16]


def use_model(catalogue: Catalogue, encoder: Encoder, store_url: str) -> Model:
    """Enter a model, or note that it is used again.

    Raises:
        StorageError: if the library knows it with vectors of another width.
    """
    means = encoder.calibration
    with catalogue.changing() as db:
        db.execute(
            "INSERT INTO model (fingerprint, name, source, dim, store_url, slope, middle, used) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name, "
            "source = excluded.source, slope = excluded.slope, middle = excluded.middle, used = excluded.used",
            (
                encoder.fingerprint, encoder.name, encoder.source, encoder.dim, store_url, means.slope, means.middle,
                time.time_ns(),
            ),
        )  # fmt: skip
    model = next(each for each in models(catalogue) if each.fingerprint == encoder.fingerprint)
    if model.dim != encoder.dim:
        raise StorageError(
            f"the library has vectors of {model.dim} numbers of {encoder.name}, which gives {encoder.dim}",
            hint="its catalogue is damaged: move the library away and index again",
        )
    return model


def put_item(db: sqlite3.Connection, digest: bytes, found: Decoded) -> int:
    """Enter an item by its content and return its number; one that is there already stays."""
    row = db.execute("SELECT id FROM item WHERE digest = ?", (digest,)).fetchone()
    if row:
        return int(row[0])
    about = found.metadata
    number = db.execute(
        "INSERT INTO item (digest, kind, taken, tz, dated_by, lat, lon, camera, lens, w, h, duration, dhash) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            digest, found.kind, about.taken, about.tz, about.dated_by, about.lat, about.lon, about.camera, about.lens,
            found.width, found.height, found.duration, found.dhash,
        ),
    ).lastrowid  # fmt: skip
    return int(number or 0)


def put_file(
    db: sqlite3.Connection, path: Path, item: int, facts: Facts, *, settled: bool, motion: bool
) -> int | None:
    """Enter a file under its name, and return the item that had this name before, if that was another."""
    folder = _folder(db, path.parent)
    name = os.fsencode(path.name)
    before = db.execute("SELECT item FROM file WHERE folder = ? AND name = ?", (folder, name)).fetchone()
    db.execute(
        "INSERT OR REPLACE INTO file (item, folder, name, size, mtime_ns, ctime_ns, dev, ino, settled, motion) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            item, folder, name, facts.size, facts.modified, facts.changed, str(facts.device), str(facts.inode),
            settled, motion,
        ),
    )  # fmt: skip
    return int(before[0]) if before and before[0] != item else None


def move_file(db: sqlite3.Connection, number: int, path: Path, ctime_ns: int, *, settled: bool) -> int | None:
    """Give a file another name, and return the item that had this name before, if there was one."""
    folder, name = _folder(db, path.parent), os.fsencode(path.name)
    before = db.execute("SELECT item FROM file WHERE folder = ? AND name = ?", (folder, name)).fetchone()
    db.execute("DELETE FROM file WHERE folder = ? AND name = ?", (folder, name))
    db.execute(
        "UPDATE file SET folder = ?, name = ?, ctime_ns = ?, settled = ? WHERE id = ?",
        (folder, name, ctime_ns, settled, number),
    )
    return int(before[0]) if before else None


def _folder(db: sqlite3.Connection, path: Path) -> int:
    key = os.fsencode(path)
    row = db.execute("SELECT id FROM folder WHERE path = ?", (key,)).fetchone()
    if row:
        return int(row[0])
    roots = [(int(number), bytes(top)) for number, top in db.execute("SELECT id, path FROM root")]
    # Links inside a root may lead elsewhere in it; each folder belongs to the innermost root that holds it.
    root = max((len(top), number) for number, top in roots if (key + b"/").startswith(top.rstrip(b"/") + b"/"))[1]
    return int(db.execute("INSERT INTO folder (root, path) VALUES (?, ?)", (root, key)).lastrowid or 0)


def put_vectors(
    db: sqlite3.Connection, model: Model, of_items: Iterable[tuple[int, Sequence[float | None]]]
) -> Numbers:
    """Enter the rows of vectors of some items, one for each moment, and return their numbers."""
    rows = [
        db.execute("INSERT INTO vec (item, model, t) VALUES (?, ?, ?)", (item, model.id, moment)).lastrowid
        for item, moments in of_items
        for moment in moments
    ]
    return np.asarray(rows, np.int64)


def drop_vectors(db: sqlite3.Connection, items: Sequence[int]) -> dict[int, Numbers]:
    """Strike out the rows of some items, and return them by the model's number."""
    found: dict[int, list[int]] = {}
    for item in items:
        for row, model in db.execute("SELECT row, model FROM vec WHERE item = ?", (item,)):
            found.setdefault(int(model), []).append(int(row))
        db.execute("DELETE FROM vec WHERE item = ?", (item,))
    return {model: np.asarray(sorted(rows), np.int64) for model, rows in found.items()}


def rows_of(catalogue: Catalogue, model: Model) -> Numbers:
    """All rows of a model, ascending."""
    found = catalogue.rows("SELECT row FROM vec WHERE model = ? ORDER BY row", (model.id,))
    return np.asarray([row for (row,) in found], np.int64)


def paths_of(catalogue: Catalogue, items: Sequence[int]) -> dict[int, list[Path]]:
    """The files of some items, by name; the moving parts of live photos last."""
    found: dict[int, list[Path]] = {item: [] for item in items}
    for item, folder, name in catalogue.rows_of(
        "SELECT item, folder.path, name FROM file JOIN folder ON folder.id = file.folder WHERE item IN ({}) "
        "ORDER BY motion, folder.path, name",
        items,
    ):
        found[item].append(Path(os.fsdecode(os.path.join(folder, name))))  # noqa: PTH118 -- names are bytes
    return found


def facts_of(catalogue: Catalogue, item: int) -> set[tuple[int, int, str, str]]:
    """What the files of an item were when they were indexed, as :func:`identity` tells it."""
    return set(catalogue.rows("SELECT size, mtime_ns, dev, ino FROM file WHERE item = ?", (item,)))


def identity(facts: os.stat_result) -> tuple[int, int, str, str]:
    """Size, time of the last change, device and inode of a file."""
    return facts.st_size, facts.st_mtime_ns, str(facts.st_dev), str(facts.st_ino)
