"""Moving a library's vectors from one engine to another.

Vectors are copied, read back and compared before the catalogue says in one transaction that they are elsewhere.
Whatever stops a move leaves the library where it was, and the next one goes on with what was copied. What was left is
removed from where it lay.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from glotclip.errors import StorageError
from glotclip.library import records
from glotclip.library.catalogue import Catalogue
from glotclip.library.records import Model, Numbers
from glotclip.library.stores import engine_of, open_store
from glotclip.library.stores.address import address_of
from glotclip.library.stores.protocol import VectorStore

_BATCH, _FLUSHED = 2048, 50  # vectors copied at once, and after how many times they are flushed


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a model's vectors are now.

    Attributes:
        url: the store.
        vectors: how many.
        digest: SHA-256 of rows and vectors, the same in both stores.
        left: the store where they stay, too, because it could not be emptied, or another library may use it; else
            empty.
    """

    url: str
    vectors: int
    digest: str
    left: str = ""


def move(
    catalogue: Catalogue,
    folder: Path,
    url: str,
    address: Callable[[Model], str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Moved]:
    """Move the vectors of all models.

    Args:
        catalogue: of the library, which nobody else changes meanwhile.
        folder: the library's.
        url: the engine: ``file:`` is the library's own folder, ``postgresql://user@host/database``,
            ``milvus:PATH.db``, ``milvus://host:19530``, the latter two maybe with ``?index=hnsw``.
        address: where a model's vectors are now.
        progress: called with (done, total) vectors.

    Raises:
        ConfigError: if no engine is called so.
        StorageError: if the engine cannot be reached, or gives back other vectors than were copied. The library is as
            it was.
    """
    models, place = records.models(catalogue), place_of(url)
    total = sum(len(records.rows_of(catalogue, model)) for model in models)
    name = "" if engine_of(url) == "file" else _name(catalogue, place)
    done = 0
    moves: list[tuple[Model, Moved]] = []
    for model in models:
        target = _target(place, name, model)
        resolved = f"file:{folder / target.removeprefix('file:')}" if engine_of(target) == "file" else target
        if resolved == address(model):
            continue
        with (
            contextlib.closing(open_store(address(model), model.dim)) as source,
            contextlib.closing(open_store(resolved, model.dim, create=True)) as store,
        ):
            moved = _copied(source, store, partial(_told, progress, done, total))
        moves.append((model, Moved(target, *moved)))
        done += moved[0]
    own = {each for (each,) in catalogue.rows("SELECT name FROM engine")}
    with catalogue.changing() as db:
        for model, each in moves:  # two models may have one name
            db.execute("UPDATE model SET store_url = ? WHERE id = ?", (each.url, model.id))
            left = _name_in(address(model))
            db.execute("DELETE FROM engine WHERE name = ? AND place != ?", (left, place))
    found = {}
    for model, each in moves:
        left = address(model)
        gone = (engine_of(left) == "file" or _name_in(left) in own) and _removed(left, model.dim)
        found[model.name] = each if gone else replace(each, left=left)
    return found


def _removed(url: str, dim: int) -> bool:
    """Whether a store could be removed; the move has succeeded in any case."""
    try:
        with contextlib.closing(open_store(url, dim)) as store:
            store.remove()
    except StorageError:
        return False
    return True


def _told(progress: Callable[[int, int], None], before: int, total: int, count: int) -> None:
    progress(before + count, total)


def place_of(url: str) -> str:
    """An engine's URL with a whole path, and behind ``#`` what names of tables and collections begin with."""
    if engine_of(url) == "file":
        return "file:"
    before, _, prefix = url.partition("#")
    if engine_of(url) == "milvus" and not before.startswith("milvus://"):
        path = Path(before.removeprefix("milvus:")).expanduser()
        before = f"milvus:{path if path.is_absolute() else Path.cwd() / path}"
    address_of(before)  # an index that there is not is told before anything is made
    return f"{before}#{prefix + '_' if prefix else ''}"


def _name(catalogue: Catalogue, place: str) -> str:
    """The library's own name at an engine, the same until its vectors have left."""
    with catalogue.changing() as db:
        db.execute("INSERT OR IGNORE INTO engine (place, name) VALUES (?, ?)", (place, secrets.token_hex(4)))
    return str(catalogue.value("SELECT name FROM engine WHERE place = ?", (place,)))


def _target(place: str, name: str, model: Model) -> str:
    """The store of a model at an engine; a file's is relative to the library."""
    return place + "_".join(each for each in ("vectors", name, records.short(model.fingerprint)) if each)


def _name_in(url: str) -> str:
    """The library's name in a store's URL; empty where it has none."""
    found = re.search(r"vectors_([0-9a-f]{8})_[a-z0-9_]+$", address_of(url).name)
    return found[1] if found else ""


def _copied(source: VectorStore, target: VectorStore, progress: Callable[[int], None]) -> tuple[int, str]:
    """Copy what the target lacks, and compare; how many vectors there are, and their digest."""
    rows = source.rows()
    target.delete(np.setdiff1d(target.rows(), rows))  # of a move that was stopped, and removed here since
    missing = np.setdiff1d(rows, target.rows())
    _put(source, target, missing, lambda count: progress(len(rows) - len(missing) + count))
    digest = _digest(source, rows)
    if len(target) != len(rows) or _digest(target, rows) != digest:
        _put(source, target, rows)  # what an interrupted move left may be of an earlier state: once more, all of it
        if len(target) != len(rows) or _digest(target, rows) != digest:
            where = address_of(target.url).shown
            raise StorageError(f"{where} gives back other vectors than it was given", hint="try another engine")
    return len(rows), digest


def _put(
    source: VectorStore, target: VectorStore, rows: Numbers, told: Callable[[int], None] = lambda count: None
) -> None:
    """Copy some rows; ``told`` is called with how many are copied."""
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        target.add(part, source.get(part))
        if (start // _BATCH + 1) % _FLUSHED == 0 or start + _BATCH >= len(rows):
            target.flush()
        told(start + len(part))


def _digest(store: VectorStore, rows: Numbers) -> str:
    digest = hashlib.sha256()
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        digest.update(part.astype("<i8").tobytes())
        digest.update(store.get(part).astype("<f2").tobytes())
    return digest.hexdigest()
