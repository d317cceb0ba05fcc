"""How new rows of a token table begin: drawn at random, or in closed form from translations.

With pairs of a text and its English, and E the base's table, whose mean row is ē, rows R (relative to ē) are sought so
that the mean of a text's rows is the mean of the base's rows of its translation:

    minimise over R:  Σ_i w_i ‖ mean over text i's tokens of R − (mean over its English's tokens of E − ē) ‖²  +  λ ‖R‖²

The normal equations are sparse, and conjugate gradients with a diagonal preconditioner solve them for all W columns at
once, in a step for each multiplication by the counts. A token that no text has keeps ē.

Shapes: M pairs, K rows sought, W width, V rows of the base's table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from glotclip.models.tokens import Tokens

InitialRows = Literal["drawn", "mean", "solved"]
_CHUNK = 50_000  # pairs whose English is looked up at once: bounds memory, not the result


@dataclass(frozen=True, eq=False)
class Pairs:
    """Texts and their English, as tokens without special ones.

    Attributes:
        ids: token ids of all texts, one after another; of each, those in ``offsets``.
        offsets: (M + 1,).
        english: the English texts' token ids, likewise.
        english_offsets: (M + 1,).
        weights: of each pair in the sum (M,).
    """

    ids: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    english: npt.NDArray[np.int64]
    english_offsets: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]

    @classmethod
    def of(
        cls,
        texts: Tokens,
        english: Tokens,
        special: frozenset[int],
        weights: npt.NDArray[np.float32] | None = None,
    ) -> Pairs:
        """Pair texts with their English; pairs of which either side has no token but special ones are left out."""
        ids, offsets = _plain(texts, special)
        theirs, their_offsets = _plain(english, special)
        kept = (np.diff(offsets) > 0) & (np.diff(their_offsets) > 0)
        weights = np.ones(len(texts), np.float32) if weights is None else weights
        return cls(*_chosen(ids, offsets, kept), *_chosen(theirs, their_offsets, kept), weights[kept])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def chunks(self) -> Iterator[slice]:
        """Slices of pairs."""
        return (slice(start, min(start + _CHUNK, len(self))) for start in range(0, len(self), _CHUNK))


def _plain(tokens: Tokens, special: frozenset[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ids and offsets without special tokens."""
    kept = ~np.isin(tokens.flat, list(special))
    before = np.concatenate([[0], np.cumsum(kept)])
    return tokens.flat[kept].astype(np.int64), before[tokens.offsets]


def _chosen(
    ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The ids and offsets of the texts kept."""
    lengths = np.diff(offsets)
    return ids[np.repeat(kept, lengths)], np.concatenate([[0], np.cumsum(lengths[kept])])


def targets(pairs: Pairs, chosen: slice, table: torch.Tensor) -> torch.Tensor:
    """The mean rows of the English texts of some pairs (M, W), relative to the table's mean row."""
    offsets = pairs.english_offsets[chosen.start : chosen.stop + 1]
    ids = torch.from_numpy(pairs.english[offsets[0] : offsets[-1]])
    starts = torch.from_numpy(offsets[:-1] - offsets[0])
    return F.embedding_bag(ids, table, starts, mode="mean") - table.mean(dim=0)


def translated_means(pairs: Pairs, free: npt.NDArray[np.int64], table: torch.Tensor) -> torch.Tensor:
    """Rows of the tokens ``free`` (K, W): of each, the mean of its texts' targets; ē where no text has it."""
    rows = torch.zeros(len(free), table.shape[1])
    weight = torch.zeros(len(free))
    for chosen, counts in zip(pairs.chunks(), _counts(pairs, free), strict=True):
        by_token = counts.transpose(0, 1).to_sparse_csr()
        rows += by_token @ targets(pairs, chosen, table)
        weight += by_token @ torch.ones(chosen.stop - chosen.start)
    return table.mean(dim=0) + rows / weight.clamp(min=1e-12)[:, None]


def solved(
    pairs: Pairs, free: npt.NDArray[np.int64], table: torch.Tensor, held: torch.Tensor, *, ridge: float, steps: int
) -> torch.Tensor:
    """Solve for the rows of the tokens ``free``.

    Args:
        pairs: texts and their English.
        free: token ids whose rows are sought, ascending (K,).
        table: the base's table E (V, W), on the processor.
        held: the whole table as it is (size, W): a text's other tokens count with these rows.
        ridge: λ.
        steps: of conjugate gradients.

    Returns:
        (K, W).
    """
    mean = table.mean(dim=0)
    shares = [(counts, counts.transpose(0, 1).to_sparse_csr()) for counts in _counts(pairs, free)]
    right, diagonal = torch.zeros(len(free), table.shape[1]), torch.full((len(free),), ridge)
    for chosen, (counts, by_token) in zip(pairs.chunks(), shares, strict=True):
        root = torch.from_numpy(pairs.weights[chosen]).sqrt()[:, None]
        rest = _rest(pairs, chosen, free, held - mean)
        right += by_token @ (root * (targets(pairs, chosen, table) - rest))
        diagonal.index_add_(0, counts.col_indices(), counts.values() ** 2)

    def product(rows: torch.Tensor) -> torch.Tensor:
        result = ridge * rows
        for counts, by_token in shares:
            result += by_token @ (counts @ rows)
        return result

    return mean + _conjugate_gradients(product, right, diagonal[:, None], steps)


def _conjugate_gradients(
    product: Callable[[torch.Tensor], torch.Tensor], right: torch.Tensor, diagonal: torch.Tensor, steps: int
) -> torch.Tensor:
    """Solve a positive definite system for every column of ``right`` (K, W), with a diagonal preconditioner (K, 1)."""
    solution, residual = torch.zeros_like(right), right.clone()
    direction = residual / diagonal
    size = (residual * direction).sum(dim=0)
    for _ in range(steps):
        image = product(direction)
        rate = size / (direction * image).sum(dim=0).clamp(min=1e-20)
        solution += rate * direction
        residual -= rate * image
        scaled = residual / diagonal
        grown = (residual * scaled).sum(dim=0)
        direction = scaled + (grown / size.clamp(min=1e-20)) * direction
        size = grown
    return solution


def _counts(pairs: Pairs, free: npt.NDArray[np.int64]) -> list[torch.Tensor]:
    """By chunk, √w times the share of each free token in each text, sparse (M, K)."""
    found = []
    for chosen in pairs.chunks():
        offsets = pairs.offsets[chosen.start : chosen.stop + 1]
        ids = pairs.ids[offsets[0] : offsets[-1]]
        lengths = np.diff(offsets)
        text = np.repeat(np.arange(len(lengths)), lengths)
        slots = np.searchsorted(free, ids).clip(max=len(free) - 1)
        kept = free[slots] == ids
        shares = (np.sqrt(pairs.weights[chosen]) / lengths)[text[kept]].astype(np.float32)
        entries = torch.from_numpy(np.stack([text[kept], slots[kept]]))
        shape = (len(lengths), len(free))
        found.append(torch.sparse_coo_tensor(entries, torch.from_numpy(shares), shape).coalesce().to_sparse_csr())
    return found


def _rest(pairs: Pairs, chosen: slice, free: npt.NDArray[np.int64], held: torch.Tensor) -> torch.Tensor:
    """What the tokens that are not free contribute to the means of texts (M, W)."""
    offsets = pairs.offsets[chosen.start : chosen.stop + 1]
    ids = pairs.ids[offsets[0] : offsets[-1]]
    fixed = ~np.isin(ids, free)
    if not fixed.any():
        return torch.zeros(1, held.shape[1])
    weights = torch.from_numpy((fixed / np.repeat(np.diff(offsets), np.diff(offsets))).astype(np.float32))
    starts = torch.from_numpy(offsets[:-1] - offsets[0])
    return F.embedding_bag(torch.from_numpy(ids), held, starts, mode="sum", per_sample_weights=weights)

