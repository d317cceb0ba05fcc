"""Token tables as files of rows, of which only those that are asked for are read.

A table is a matrix, or where it was quantised, a matrix of small integers with a factor for each row. What a language
changes of the base's table lies in files of its own: its token ids, ascending, and their rows.

Shapes: V rows of a table, K rows of a language, W width, T token ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glotclip.errors import CheckpointError

Floats = NDArray[np.float32]
LEVELS = 127  # of an 8-bit integer on each side of zero


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a table, on disk or in memory.

    Attributes:
        values: (K, W), of floats or of small integers.
        factors: of integers, what each row is to be multiplied by (K,).
        ids: the token ids of the rows (K,), ascending; None: row i is that of id i.
    """

    values: NDArray[Any]
    factors: Floats | None = None
    ids: NDArray[np.int64] | None = None

    def take(self, places: NDArray[np.int64]) -> Floats:
        """The rows at these places, float32 (T, W)."""
        rows = np.asarray(self.values[places], dtype=np.float32)
        return rows if self.factors is None else rows * self.factors[places][:, None]


@dataclass(frozen=True, eq=False)
class TokenTable:
    """What a language reads for its token ids: rows of its own, else the base's.

    Attributes:
        base: the base's rows.
        own: the language's, or None.
    """

    base: Rows
    own: Rows | None = None

    def look_up(self, ids: NDArray[np.int64]) -> Floats:
        """The rows of token ids (…), float32 (…, W)."""
        flat = ids.reshape(-1)
        found = self.base.take(np.minimum(flat, len(self.base.values) - 1))
        if self.own is not None and self.own.ids is not None and len(self.own.ids):
            places = np.minimum(np.searchsorted(self.own.ids, flat), len(self.own.ids) - 1)
            mine = self.own.ids[places] == flat
            found[mine] = self.own.take(places[mine])
        return found.reshape(*ids.shape, -1)


def quantised(rows: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Rows (K, W) as 8-bit integers with a factor for each row (K,)."""
    factors = np.abs(rows).max(axis=1, initial=0) / LEVELS
    factors = np.maximum(factors, np.finfo(np.float32).smallest_normal)  # below it, factors would be rounded too much
    return np.rint(rows / factors[:, None]).astype(np.int8), factors


def write_rows(folder: Path, name: str, rows: Floats, ids: NDArray[np.int64] | None = None, *, small: bool) -> None:
    """Write rows (K, W) under a name.

    Args:
        folder: where to.
        name: how the files begin.
        rows: the values.
        ids: the token ids of the rows, ascending; None: row i is that of id i.
        small: as 8-bit integers; otherwise in half precision, where that holds them all, else as they are.
    """
    values: NDArray[Any] = rows
    if small:
        values, factors = quantised(rows)
        np.save(folder / f"{name}.factors.npy", factors)
    elif np.array_equal(half := rows.astype(np.float16), rows):
        values = half
    np.save(folder / f"{name}.npy", values)
    if ids is not None:
        np.save(folder / f"{name}.ids.npy", ids)


def read_rows(folder: Path, name: str) -> Rows:
    """Open what :func:`write_rows` wrote; the rows stay on the disk.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    values = _read(folder / f"{name}.npy", mapped=True)
    factors, ids = (
        _read(path) if (path := folder / f"{name}.{part}.npy").exists() else None for part in ("factors", "ids")
    )
    wrong = [each for each in (factors, ids) if each is not None and each.shape != values.shape[:1]]
    if values.ndim != 2 or wrong or (values.dtype == np.int8) != (factors is not None):
        raise CheckpointError(f"the rows {folder / name} do not fit together", hint="export the model again")
    return Rows(values, factors, ids)


def _read(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} is missing or damaged: {error}", hint="export the model again") from error
    return found
