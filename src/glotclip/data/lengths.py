"""What the lengths of lines tell of parallel text: which were cut, and which are out of step with others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# A line is truncated if its length relative to its counterpart's falls below this share of the usual.
_SHORT, _LONG_ENOUGH = 0.3, 40
_END_MARKS = (".", "!", "?", "。", "！", "？", "।", "…", '"')
# Lengths of translations go together (r = 0.9 on Multi30K), those of neighbours do not.
_BLOCK, _FARTHEST, _BETTER, _TOGETHER = 200, 3, 0.3, 0.6


def of(lines: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the number of characters of each line, (N,)."""
    return np.fromiter((len(line) for line in lines), np.int64, len(lines))


def short(sizes: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> list[int]:
    """Return the indices of lines whose length is far below what their counterparts', (N,), suggest."""
    both = (sizes > 0) & (others > 0)
    if not both.any():
        return []
    usual = float(np.median(sizes[both] / others[both]))
    return [int(i) for i in np.flatnonzero(both & (others >= _LONG_ENOUGH) & (sizes < _SHORT * usual * others))]


def cut(lines: Sequence[str]) -> list[int]:
    """Return the indices of lines that seem cut at one length."""
    sizes = of(lines)
    if not sizes.size or (longest := int(sizes.max())) < _LONG_ENOUGH:
        return []
    longest_ones = (int(index) for index in np.flatnonzero(sizes == longest))
    found = [index for index in longest_ones if not lines[index].rstrip().endswith(_END_MARKS)]
    return found if len({lines[i] for i in found}) >= max(3, len(lines) / 1000) else []


def slid(sizes: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the blocks of lines (start, end) whose lengths fit their neighbours' counterparts, not their own.

    Args:
        sizes: lengths of the lines, (N,).
        others: lengths of the lines they should translate, (N,). Blocks have 200 lines; fewer cannot be judged.
    """
    found = []
    for start in range(0, len(sizes) - _BLOCK + 1, _BLOCK):
        end = len(sizes) if start + 2 * _BLOCK > len(sizes) else start + _BLOCK
        fits = {}
        for offset in range(-_FARTHEST, _FARTHEST + 1):
            low, high = max(start, -offset), min(end, len(sizes) - offset)
            fits[offset] = _correlation(sizes[low:high], others[low + offset : high + offset])
        best = max(fits, key=fits.__getitem__)
        if best and fits[best] > max(_TOGETHER, fits[0] + _BETTER):
            found.append((start, end))
    return found


def _correlation(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> float:
    left, right = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / scale if scale else 0.0
