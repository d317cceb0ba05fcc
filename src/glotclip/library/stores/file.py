"""The exact store of a library: one memory-mapped file, in which every vector is compared.

The file is a series of records: a row and its vector in half precision. Later records replace earlier ones of the
same row; a row r is deleted by a record −1 − r. Changes are appended, so a kill leaves at most a part of a record
behind whole ones; the part is ignored and overwritten. Compaction writes what is left anew and renames it into place;
who reads the file keeps the one it has opened.

Shapes as in :mod:`glotclip.library.stores.protocol`; R records.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glotclip.errors import StorageError
from glotclip.library.stores.exact import best, cosines, for_each
from glotclip.library.stores.protocol import Floats, Numbers
from glotclip.storage import append_whole, disk_errors, shown, writing

_BLOCK = 8192  # records that are compared at once
_FEW = 0.03  # share of the records up to which those asked for are gathered and not all compared
_ROUNDING = 1e-5  # by which sums of products differ with their order
_LONGEST = 1.001  # length of a normalised vector in half precision


class FileStore:
    """See :class:`glotclip.library.stores.protocol.VectorStore`.

    Raises:
        StorageError: if the file is not there and not to be made.
    """

    def __init__(self, path: Path, dim: int, *, create: bool = False) -> None:
        self.url, self.dim, self.path = f"file:{path}", dim, path
        self._type = np.dtype([("row", "<i8"), ("vector", "<f2", (dim,))])
        if not path.exists():
            if not create:
                raise StorageError(f"there are no vectors in {shown(path)}", hint="make them: `glotclip index`")
            with disk_errors(path, "--library"):
                path.touch()
        self._pending: list[np.ndarray] = []
        self._open()

    def _open(self) -> None:
        """Map the file, and find the last record of each row."""
        with disk_errors(self.path, "--library"):
            self._count = self.path.stat().st_size // self._type.itemsize
            self._records = (
                np.memmap(self.path, self._type, "r", shape=(self._count,))
                if self._count
                else np.zeros(0, self._type)
            )
        self._stale = False
        said = np.ascontiguousarray(self._records["row"])
        rows = np.where(said < 0, -1 - said, said)
        known, last = np.unique(rows[::-1], return_index=True)
        places = self._count - 1 - last
        alive = said[places] >= 0
        self._rows: Numbers = known[alive]
        self._places: Numbers = places[alive]

    def __len__(self) -> int:
        self._refresh()
        return len(self._rows)

    def add(self, rows: Numbers, vectors: Floats) -> None:
        """Append vectors."""
        new = np.zeros(len(rows), self._type)
        new["row"], new["vector"] = rows, vectors
        self._pending.append(new)

    def delete(self, rows: Numbers) -> None:
        """Append that rows are gone."""
        self._refresh()
        gone = np.intersect1d(rows, self._rows)
        new = np.zeros(len(gone), self._type)
        new["row"] = -1 - gone
        self._pending.append(new)

    def flush(self) -> None:
        """Write what is pending; whole records or nothing."""
        if not self._pending:
            return
        new, self._pending = np.concatenate(self._pending), []
        if len(new):
            with disk_errors(self.path, "--library"):
                append_whole(self.path, self._count * self._type.itemsize, new.tobytes())
            self._count += len(new)
            self._stale = True

    def _refresh(self) -> None:
        """Flush, and see what was written."""
        self.flush()
        if self._stale:
            self._open()

    def get(self, rows: Numbers) -> Floats:
        """Vectors by rows."""
        self._refresh()
        return np.asarray(self._records["vector"][self._places[self._found(rows)]], np.float32)

    def rows(self) -> Numbers:
        """All rows, ascending."""
        self._refresh()
        return self._rows

    def _found(self, rows: Numbers) -> Numbers:
        at = np.searchsorted(self._rows, rows)
        if len(rows) and (at.max() >= len(self._rows) or (self._rows[at] != rows).any()):
            raise StorageError(f"{shown(self.path)} lacks vectors that were asked for", hint="`glotclip index`")
        return at

    def search(self, queries: Floats, k: int, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """Compare all in half precision, and what can be among the best in full precision."""
        self._refresh()
        at = np.arange(len(self._rows)) if among is None else np.flatnonzero(np.isin(self._rows, among))
        k = max(k, 0)
        return for_each(queries, k, lambda query: self._best(query, at, k))

    def _best(self, query: Floats, at: Numbers, k: int) -> tuple[Numbers, Floats]:
        """The k best rows of those at some places."""
        if 0 < k < len(at) and len(at) > _FEW * self._count:
            rough, error = self._rough(query)
            own = rough[self._places[at]]
            at = at[own >= np.partition(own, len(own) - k)[len(own) - k] - 2 * error]
        return best(self._rows[at], self._cosines(query, at), k)

    def _rough(self, query: Floats) -> tuple[npt.NDArray[np.floating], float]:
        """Cosines of all records with a query, and by how much any of them is wrong at most."""
        numkong = find_numkong()
        if numkong is None:
            parts = [
                np.asarray(self._records["vector"][start : start + _BLOCK], np.float32) @ query
                for start in _starts(self._count)
            ]
            return np.concatenate(parts), _ROUNDING
        half = query.astype(np.float16)
        scores = np.asarray(numkong.cdist(half[None], self._records["vector"], "dot"))[0]
        return scores, float(np.linalg.norm(half.astype(np.float32) - query)) * _LONGEST + _ROUNDING

    def scores(self, query: Floats, rows: Numbers) -> Floats:
        """Cosines with some rows."""
        self._refresh()
        return self._cosines(query, self._found(rows))

    def _cosines(self, query: Floats, at: Numbers) -> Floats:
        parts = [
            cosines(np.asarray(self._records["vector"][self._places[at[start : start + _BLOCK]]], np.float32), query)
            for start in _starts(len(at))
        ]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def compact(self) -> None:
        """Write anew what is left."""
        self._refresh()
        if self.path.stat().st_size == len(self._rows) * self._type.itemsize:
            return
        with disk_errors(self.path, "--library"), writing(self.path) as aside, aside.open("wb") as stream:
            for start in _starts(len(self._rows)):
                stream.write(self._records[self._places[start : start + _BLOCK]].tobytes())
            stream.flush()
            os.fsync(stream.fileno())
        self._open()

    def remove(self) -> None:
        """Remove the file; who reads it still has it."""
        self._pending = []
        with disk_errors(self.path, "--library"):
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Write what is pending. The map closes itself when nobody reads it any more."""
        self.flush()


def open_url(url: str, dim: int, *, create: bool = False) -> FileStore:
    """Open the store of ``file:PATH``."""
    return FileStore(Path(url.removeprefix("file:")), dim, create=create)


@cache
def find_numkong() -> Any:
    """The package numkong, which compares in half precision as it lies on the disk; None where it is not installed.

    Without it vectors are converted first, which takes some ten times as long; answers are the same.
    """
    try:
        import numkong
    except ImportError:
        return None
    return numkong


def _starts(count: int) -> range:
    return range(0, count, _BLOCK)
