"""Token ids of many texts, without padding.

Shapes: M texts, B texts of a batch, T tokens of the longest text in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Tokens:
    """Ragged token ids: text ``i`` is ``flat[offsets[i]:offsets[i + 1]]``, special tokens included.

    Attributes:
        flat: int32 (sum of lengths,).
        offsets: int64 (M + 1,), from 0 to ``len(flat)``, never falling.
        truncated: indices of the texts that were longer than the context and were cut.
    """

    flat: NDArray[np.int32]
    offsets: NDArray[np.int64]
    truncated: tuple[int, ...] = ()

    @classmethod
    def from_lists(cls, ids: Iterable[Sequence[int]], truncated: Iterable[int] = ()) -> Tokens:
        """Join one list of ids per text."""
        flat: list[int] = []
        offsets = [0]
        for one in ids:
            flat.extend(one)
            offsets.append(len(flat))
        return cls(np.array(flat, dtype=np.int32), np.array(offsets, dtype=np.int64), tuple(truncated))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"text {index} of {len(self)}")
        index %= len(self)
        return self.flat[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each text, int64 (M,)."""
        return np.diff(self.offsets)

    def padded(
        self, indices: ArrayLike, pad_id: int, to: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Gather some texts as a rectangle.

        Args:
            indices: which texts, in the order wanted (B,).
            pad_id: fills the places after a text's end.
            to: number of columns; by default the length of the longest of these texts.

        Returns:
            ids int64 (B, T) and lengths int64 (B,).
        """
        rows = np.asarray(indices, dtype=np.int64).reshape(-1)
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        width = int(lengths.max(initial=0)) if to is None else to
        if lengths.max(initial=0) > width:
            raise ValueError(f"a text of {lengths.max()} tokens does not fit into {width} columns")
        columns = np.arange(width)
        block_hooks = columns < lengths[:, None]
        ids = np.full((len(rows), width), pad_id, dtype=np.int64)
        ids[block_hooks] = self.flat[(starts[:, None] + columns)[block_hooks]]
        return ids, lengths


def batch_end(lengths: NDArray[np.int64], start: int, budget: int) -> int:
    """Return the end of the batch from ``start``: as many of the ascending lengths as fit into the budget."""
    count = max(1, budget // max(1, int(lengths[start])))
    while count > 1:
        longest = int(lengths[min(start + count, len(lengths)) - 1])
        fitting = max(1, budget // max(1, longest))
        if fitting >= count:
            break
        count = fitting
    return min(start + count, len(lengths))
