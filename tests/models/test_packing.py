from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from glotclip.models.packing import PADDING_WORTH, pack


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30))
def test_every_token_is_packed_once_and_in_order(lengths: list[int]) -> None:
    width = 20
    layout = pack(torch.tensor(lengths), width)
    packed = torch.arange(len(lengths) * width)[layout.source].tolist()
    start = 0
    seen = set()
    for size, length in layout.groups:
        for _ in range(size):
            row = packed[start] // width
            assert packed[start : start + length] == list(range(row * width, row * width + length))
            assert layout.position[start : start + length].tolist() == list(range(length))
            assert lengths[row] <= length
            seen.add(row)
            start += length
    assert start == len(packed)
    assert seen == set(range(len(lengths)))
    # The pooled token of each text is its last, and restoring gives the batch's order.
    last = layout.source[layout.queries][layout.restore]
    assert last.tolist() == [row * width + length - 1 for row, length in enumerate(lengths)]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30))
def test_padding_stays_small(lengths: list[int]) -> None:
    groups = pack(torch.tensor(lengths), 20).groups
    padding = sum(size * length for size, length in groups) - sum(lengths)
    # Merging stops once one step would pad more than is worth it, so at most that much per distinct length.
    assert padding <= PADDING_WORTH["cpu"] * len(set(lengths))
