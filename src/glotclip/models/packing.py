"""Laying a padded batch of texts end to end, sorted by length, so that no time is spent on padding.

Shapes: B texts, T columns of the padded batch, S tokens laid end to end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from glotclip.models.attention import Group

# Padding that is cheaper than one more attention call: below this many padded tokens, neighbouring lengths share a
# group. Measured by benchmarks/; a processor's call costs little, an accelerator's launch costs much.
PADDING_WORTH = {"cpu": 8}
PADDING_WORTH_ELSEWHERE = 256


class Layout(NamedTuple):
    """Where each token of a batch goes.

    Attributes:
        groups: sequences of equal (padded) length, in order.
        source: int64 (S,), index of each packed token in the flattened (B, T) batch.
        position: int64 (S,), place of each packed token in its text.
        pooled: int64 (B,), packed index of each text's last token, in packed order.
        restore: int64 (B,), packed order → the batch's order.
    """

    groups: list[Group]
    source: torch.Tensor
    position: torch.Tensor
    pooled: torch.Tensor
    restore: torch.Tensor


def pack(lengths: torch.Tensor, width: int) -> Layout:
    """Plan the packing of texts of ``lengths`` (B,) that are padded to ``width`` columns."""
    device = lengths.device
    sizes = lengths.cpu().numpy()
    order = np.argsort(sizes, kind="stable")
    ordered = sizes[order]
    groups = _groups(ordered, PADDING_WORTH.get(device.type, PADDING_WORTH_ELSEWHERE))
    padded = np.array([group.length for group in groups for _ in range(group.size)], dtype=np.int64)
    starts = np.cumsum(padded) - padded
    position = np.arange(int(padded.sum())) - np.repeat(starts, padded)
    source = np.repeat(order * width, padded) + position

    def tensor(array: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)).to(device, non_blocking=True)

    return Layout(groups, tensor(source), tensor(position), tensor(starts + ordered - 1), tensor(np.argsort(order)))


def _groups(ordered: np.ndarray[tuple[int, ...], np.dtype[np.int64]], worth: int) -> list[Group]:
    """Group ascending lengths; a group is as long as its longest text."""
    lengths, counts = np.unique(ordered, return_counts=True)
    groups: list[Group] = []
    for length, count in zip(lengths.tolist(), counts.tolist(), strict=True):
        if groups and (length - groups[-1].length) * groups[-1].size <= worth:
            groups[-1] = Group(groups[-1].size + count, length)
        else:
            groups.append(Group(count, length))
    return groups
