"""Token ids of many texts, without padding.

Shapes: M texts, B texts of a batch, T tokens of the longest text in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from glotclip.models.tokenizer import Tokenizer


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

    def take(self, indices: ArrayLike) -> Tokens:
        """The tokens of some texts, in the order given; a text may come several times."""
        rows = np.asarray(indices, dtype=np.int64).reshape(-1)
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        cut = set(self.truncated)
        return Tokens(self.flat[places], offsets, tuple(np.flatnonzero(np.isin(rows, list(cut))).tolist()))

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


def joined(tokens: Sequence[Tokens]) -> Tokens:
    """Several texts' tokens as those of one list; which of them were cut is not kept."""
    if len(tokens) == 1:
        return tokens[0]
    starts = np.cumsum([0, *(len(each.flat) for each in tokens)])
    offsets = [each.offsets[:-1] + start for each, start in zip(tokens, starts, strict=False)]
    return Tokens(np.concatenate([each.flat for each in tokens]), np.concatenate([*offsets, starts[-1:]]))


def encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
    """What ``tokenizer.encode`` gives, for lists in which texts repeat: each is cut once."""
    unique = list(dict.fromkeys(texts))
    if len(unique) == len(texts):
        return tokenizer.encode(texts)
    number = {text: place for place, text in enumerate(unique)}
    return tokenizer.encode(unique).take([number[text] for text in texts])
