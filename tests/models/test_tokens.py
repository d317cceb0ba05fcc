from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.models.tokens import Tokens

RAGGED = st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=6), min_size=1, max_size=8)


@given(RAGGED, st.data())
def test_padded_gathers_what_was_joined(lists: list[list[int]], data: st.DataObject) -> None:
    tokens = Tokens.from_lists(lists)
    indices = data.draw(st.lists(st.integers(0, len(lists) - 1), min_size=1))
    ids, lengths = tokens.padded(indices, pad_id=-1)
    expected = [lists[index] for index in indices]
    assert lengths.tolist() == [len(one) for one in expected]
    assert ids.shape == (len(indices), max(map(len, expected)))
    assert [row[row >= 0].tolist() for row in ids] == expected
    assert ids.dtype == lengths.dtype == np.int64


def test_items_lengths_and_width() -> None:
    tokens = Tokens.from_lists([[1, 2], [3]], truncated=[1])
    assert [tokens[0].tolist(), tokens[-1].tolist()] == [[1, 2], [3]]
    assert (len(tokens), tokens.lengths.tolist(), tokens.truncated) == (2, [2, 1], (1,))
    assert tokens.padded([0, 1], 9, to=4)[0].tolist() == [[1, 2, 9, 9], [3, 9, 9, 9]]
    with pytest.raises(IndexError):
        tokens[2]
    with pytest.raises(ValueError, match="2 tokens"):
        tokens.padded([0], 9, to=1)


def test_no_texts() -> None:
    tokens = Tokens.from_lists([])
    assert len(tokens) == 0
    assert tokens.padded([], 0)[0].shape == (0, 0)
