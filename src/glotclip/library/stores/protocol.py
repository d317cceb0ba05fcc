"""What a library needs of a store of vectors. Shapes: N rows, Q queries, E = ``dim``, k hits."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class VectorStore(Protocol):
    """Normalised vectors, each under the number of its row. One process writes, any number read.

    Attributes:
        url: where it is.
        dim: width of the vectors, E.
    """

    url: str
    dim: int

    def __len__(self) -> int: ...
    def add(self, rows: Numbers, vectors: Floats) -> None:
        """Put vectors (N, E) under rows (N,), in place of what was there."""
        ...

    def delete(self, rows: Numbers) -> None:
        """Take rows out; those that are not there do not matter."""
        ...

    def get(self, rows: Numbers) -> Floats:
        """The vectors (N, E) of rows that are there."""
        ...

    def rows(self) -> Numbers:
        """All rows, ascending."""
        ...

    def search(self, queries: Floats, k: int, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """The k best rows of each query and their cosines, both (Q, k): by score, then by row.

        Args:
            queries: normalised (Q, E).
            k: how many; missing ones are −1 with score −inf.
            among: the only rows that may be found, ascending; None: all.
        """
        ...

    def scores(self, query: Floats, rows: Numbers) -> Floats:
        """The cosines (N,) of a query (E,) with rows that are there."""
        ...

    def compact(self) -> None:
        """Remove from the disk what was deleted."""
        ...

    def remove(self) -> None:
        """Remove all of it from where it lies; it cannot be used any more."""
        ...

    def flush(self) -> None:
        """Have all that was changed on the disk."""
        ...

    def close(self) -> None:
        """Flush, and let go of files."""
        ...
