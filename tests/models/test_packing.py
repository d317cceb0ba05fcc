from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glotclip.models.packing import PADDING_WORTH, insert, means, pack

pytestmark = pytest.mark.slow


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


@given(st.lists(st.integers(1, 20), min_size=1, max_size=12), st.booleans())
def test_means_are_over_the_texts_own_tokens(lengths: list[int], coarse: bool) -> None:
    hidden = torch.randn(len(lengths), 20, 3, generator=torch.Generator().manual_seed(0))
    layout = pack(torch.tensor(lengths), 20, coarse=coarse, marks=True)
    assert layout.own is not None
    if not coarse:
        assert int(layout.own.sum()) == sum(lengths)
    packed = hidden.view(-1, 3)[layout.source].masked_fill(~layout.own[:, None], 1e6)
    expected = torch.stack([text[:length].mean(0) for text, length in zip(hidden, lengths, strict=True)])
    torch.testing.assert_close(means(packed, layout)[layout.restore], expected)


@given(st.lists(st.integers(2, 10), min_size=1, max_size=6), st.integers(1, 10))
def test_inserting_is_joining_lists(lengths: list[int], count: int) -> None:
    width, context = max(lengths), 12
    plan = insert(torch.tensor(lengths), width, count, context)
    vectors = list(range(len(lengths) * width, len(lengths) * width + count))
    for row, length in enumerate(lengths):
        text = list(range(row * width, row * width + length))
        joined = [*text[:1], *vectors, *text[1:]]
        if len(joined) > context:
            joined = [*joined[: context - 1], text[-1]]
        assert plan.source[row, : int(plan.lengths[row])].tolist() == joined
    assert plan.width == plan.source.shape[1] == min(width + count, context)
