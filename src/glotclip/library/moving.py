"""Moving a library's vectors from one engine to another.

Vectors are copied, read back and compared before the catalogue says in one transaction that they are elsewhere.
Whatever stops a move leaves the library where it was, and the next one goes on with what was copied.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
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
    """

    url: str
    vectors: int
    digest: str


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
        StorageError: if the engine cannot be reached, holds other vectors under these names, or gives back others
            than were copied. The library is as it was.
    """
    models = records.models(catalogue)
    total = sum(len(records.rows_of(catalogue, model)) for model in models)
    done, found, left = 0, {}, []
    for model in models:
        target = target_of(url, model, folder)
        resolved = f"file:{folder / target.removeprefix('file:')}" if engine_of(target) == "file" else target
        if resolved == address(model):
            continue
        with (
            contextlib.closing(open_store(address(model), model.dim)) as source,
            contextlib.closing(open_store(resolved, model.dim, create=True)) as store,
        ):
            moved = _copied(source, store, partial(_told, progress, done, total))
        found[model.name] = Moved(target, *moved)
        left.append(address(model))
        done += moved[0]
    with catalogue.changing() as db:
        for model in models:
            if model.name in found:
                db.execute("UPDATE model SET store_url = ? WHERE id = ?", (found[model.name].url, model.id))
    for each in left:
        if engine_of(each) == "file":
            Path(each.removeprefix("file:")).unlink(missing_ok=True)
    return found


def _told(progress: Callable[[int, int], None], before: int, total: int, count: int) -> None:
    progress(before + count, total)


def target_of(url: str, model: Model, folder: Path) -> str:
    """The store of a model at an engine; a file's is relative to the library."""
    name = "vectors_" + re.sub(r"[^a-z0-9]+", "_", model.fingerprint.lower()).strip("_")[:24]
    name += "_hnsw" if address_of(url).approximate else ""  # made with an index, or without
    engine = engine_of(url)
    if engine == "file":
        return f"file:{name}"
    before, _, prefix = url.partition("#")
    if engine == "milvus" and not before.startswith("milvus://"):
        place = Path(before.removeprefix("milvus:")).expanduser()
        before = f"milvus:{place if place.is_absolute() else Path.cwd() / place}"
    return f"{before}#{prefix + '_' if prefix else ''}{name}"


def _copied(source: VectorStore, target: VectorStore, progress: Callable[[int], None]) -> tuple[int, str]:
    """Copy what the target lacks, and compare; how many vectors there are, and their digest."""
    rows = source.rows()
    if len(foreign := np.setdiff1d(target.rows(), rows)):
        raise StorageError(
            f"{target.url} holds {len(foreign):,} vectors that are not this library's",
            hint="name another place, or empty it",
        )
    missing = np.setdiff1d(rows, target.rows())
    _put(source, target, missing, lambda count: progress(len(rows) - len(missing) + count))
    digest = _digest(source, rows)
    if len(target) != len(rows) or _digest(target, rows) != digest:
        _put(source, target, rows)  # what an interrupted move left may be of an earlier state: once more, all of it
        if len(target) != len(rows) or _digest(target, rows) != digest:
            raise StorageError(f"{target.url} gives back other vectors than it was given", hint="try another engine")
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
