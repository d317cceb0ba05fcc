"""Laying a padded batch of texts end to end, sorted by length, so that no time is spent on padding.

Shapes: B texts, T columns of the padded batch, S tokens laid end to end, W width, P vectors of a prompt.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from glotclip.models.attention import Group

# Padding that is cheaper than one more attention call: below this many padded tokens, neighbouring lengths share a
# group. Measured by benchmarks/; a processor's call costs little, an accelerator's launch costs much.
PADDING_WORTH = {"cpu": 8}
PADDING_WORTH_ELSEWHERE = 256

# A processor's bf16 kernels are compiled for each shape they meet: 8 ms for a linear map, 1 ms for an attention
# product, ten times what running them takes. Random batches never have the same shape twice, so shapes are rounded
# up to a coarse grid. On a tower of 4 × 192 that spares a quarter of a training step, filler included.
LENGTH_GRID, SIZE_GRID, TOKEN_GRID = 4, 8, 128


class Layout(NamedTuple):
    """Where each token of a batch goes.

    Attributes:
        groups: sequences of equal (padded) length, in order. With a coarse layout the last sequences of a group, and
            the last tokens of all, may be filler that belongs to no text.
        source: int64 (S,), index of each packed token in the flattened (B, T) batch.
        position: int64 (S,), place of each packed token in its text.
        queries: int64 (sum of the groups' sizes,), packed index of the token each sequence is pooled at, filler too.
        restore: int64 (B,), the batch's order → place in ``queries``.
        own: bool (S,), false for the padding within sequences and the filler behind them; None unless asked for.
        width: columns of the (B, T) batch, T.
    """

    groups: list[Group]
    source: torch.Tensor
    position: torch.Tensor
    queries: torch.Tensor
    restore: torch.Tensor
    own: torch.Tensor | None = None
    width: int = 0

    def texts(self) -> torch.Tensor:
        """The text of each sequence, filler too: int64 (sum of the groups' sizes,), numbers within the batch."""
        return self.source.index_select(0, self.queries) // self.width

    def firsts(self) -> torch.Tensor:
        """Packed index of the first token of each sequence, filler too: int64 (sum of the groups' sizes,)."""
        return self.queries - self.position.index_select(0, self.queries)


def pack(lengths: torch.Tensor, width: int, *, coarse: bool = False, marks: bool = False) -> Layout:
    """Plan the packing of texts of ``lengths`` (B,) that are padded to ``width`` columns.

    Args:
        lengths: tokens of each text.
        width: columns of the padded batch.
        coarse: round all shapes up to a grid, for kernels that are compiled for each shape.
        marks: tell padding from the texts' own tokens.
    """
    device = lengths.device
    sizes = lengths.cpu().numpy()
    order = np.argsort(sizes, kind="stable")
    ordered = sizes[order]
    texts = _groups(ordered, PADDING_WORTH.get(device.type, PADDING_WORTH_ELSEWHERE), width, coarse)
    groups = [Group(_up(size, SIZE_GRID), length) for size, length in texts] if coarse else texts
    # Of every sequence, filler included: its text (filler repeats its group's first), its length, its last token.
    begins = np.cumsum([0, *(text.size for text in texts)])
    rows = np.concatenate([
        begin + np.where(np.arange(group.size) < text.size, np.arange(group.size), 0)
        for begin, text, group in zip(begins, texts, groups, strict=False)
    ])  # fmt: skip
    padded = np.repeat([group.length for group in groups], [group.size for group in groups])
    starts = np.cumsum(padded) - padded
    total = int(padded.sum())
    position = np.arange(total) - np.repeat(starts, padded)
    source = np.repeat(order[rows] * width, padded) + position
    own = torch.from_numpy(position < np.repeat(ordered[rows], padded)).to(device) if marks else None
    if coarse and (missing := _up(total, TOKEN_GRID) - total):
        position, source = (np.concatenate([each, np.zeros(missing, np.int64)]) for each in (position, source))
        own = None if own is None else F.pad(own, (0, missing))
    place = np.empty(len(order), np.int64)
    firsts = np.cumsum([0, *(group.size for group in groups)])[:-1]
    place[order] = np.concatenate([first + np.arange(size) for first, (size, _) in zip(firsts, texts, strict=True)])

    def tensor(array: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)).to(device, non_blocking=True)

    return Layout(
        groups, tensor(source), tensor(position), tensor(starts + ordered[rows] - 1), tensor(place), own, width
    )


def rectangle(lengths: torch.Tensor, width: int, *, marks: bool = False) -> Layout:
    """The plan that packs nothing: texts of ``lengths`` (B,) stay as ``width`` columns each, in their order.

    It follows from the shapes alone, so that a graph which is exported may have any number of texts.
    """
    size, device = lengths.shape[0], lengths.device
    row = torch.arange(size, device=device)
    column = torch.arange(width, device=device)
    source = (row[:, None] * width + column).reshape(-1)
    position = column.expand(size, -1).reshape(-1)
    own = (column < lengths[:, None]).reshape(-1) if marks else None
    return Layout([Group(size, width)], source, position, row * width + lengths - 1, row, own, width)


def means(hidden: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Average each sequence's own tokens among the packed ones (S, W): float32, in the order of the groups."""
    assert layout.own is not None
    outs = []
    start = 0
    for size, length in layout.groups:
        stop = start + size * length
        own = layout.own[start:stop].view(size, length, 1).float()
        outs.append((hidden[start:stop].view(size, length, -1) * own).sum(1) / own.sum(1))
        start = stop
    return torch.cat(outs) if len(outs) > 1 else outs[0]


class Prompted(NamedTuple):
    """A padded batch with P vectors inserted after every text's first token.

    Attributes:
        lengths: int64 (B,), P more than before, at most the context.
        width: columns of the new batch T'.
        source: int64 (B, T'), where each token comes from: an index into the flattened (B, T) batch, or behind its
            B · T places the number of a vector.
    """

    lengths: torch.Tensor
    width: int
    source: torch.Tensor


def insert(lengths: torch.Tensor, width: int, count: int, context: int) -> Prompted:
    """Plan the insertion of ``count`` vectors into texts of ``lengths`` (B,) that are padded to ``width`` columns.

    A text that would grow beyond ``context`` tokens loses those before its last one.
    """
    longer = (lengths + count).clamp(max=context)
    columns: int = torch.sym_min(width + count, context)  # type: ignore[no-untyped-call]  # a graph's width varies
    column = torch.arange(columns, device=lengths.device)
    token = torch.where(column == longer[:, None] - 1, lengths[:, None] - 1, (column - count).clamp(min=0))
    texts = lengths.shape[0]
    source = torch.arange(texts, device=lengths.device)[:, None] * width + token
    vector = (column > 0) & (column <= count)
    return Prompted(longer, columns, torch.where(vector, texts * width + column - 1, source))


def _up(number: int, grid: int) -> int:
    """Round up to the grid."""
    return -(-number // grid) * grid


def _groups(
    ordered: np.ndarray[tuple[int, ...], np.dtype[np.int64]], worth: int, width: int, coarse: bool
) -> list[Group]:
    """Group ascending lengths; a group is as long as its longest text, or the next length of the grid."""
    if coarse:
        ordered = np.minimum(-(-ordered // LENGTH_GRID) * LENGTH_GRID, width)
    lengths, counts = np.unique(ordered, return_counts=True)
    groups: list[Group] = []
    for length, count in zip(lengths.tolist(), counts.tolist(), strict=True):
        if groups and (length - groups[-1].length) * groups[-1].size <= worth:
            groups[-1] = Group(groups[-1].size + count, length)
        else:
            groups.append(Group(count, length))
    return groups
