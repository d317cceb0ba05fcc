"""What a library needs of a store of vectors."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class VectorStore(Protocol):
    """Vectors by the number of their row."""

    url: str
    dim: int

    def __len__(self) -> int: ...
    def add(self, rows: Numbers, vectors: Floats) -> None: ...  # noqa: D102
    def delete(self, rows: Numbers) -> None: ...  # noqa: D102
    def get(self, rows: Numbers) -> Floats: ...  # noqa: D102
    def rows(self) -> Numbers: ...  # noqa: D102
    def search(self, queries: Floats, k: int, among: Numbers | None = None) -> tuple[Numbers, Floats]: ...  # noqa: D102
    def scores(self, query: Floats, rows: Numbers) -> Floats: ...  # noqa: D102
    def compact(self) -> None: ...  # noqa: D102
    def flush(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
