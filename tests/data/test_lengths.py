import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data import lengths


def test_lines_far_shorter_than_their_counterparts_are_truncated() -> None:
    english = ["e" * size for size in (50, 60, 70, 80, 30)]
    german = ["d" * size for size in (60, 70, 20, 100, 3)]
    # The last is as short, but its counterpart is too short to tell.
    assert lengths.short(lengths.of(german), lengths.of(english)) == [2]
    assert lengths.short(lengths.of([""]), lengths.of([""])) == []


def test_lines_cut_at_one_length_are_truncated() -> None:
    lines = [f"{number} " + "word " * (5 + number) for number in range(9)]
    assert lengths.cut(lines) == []
    cut = [line[:40] for line in lines]
    assert lengths.cut(cut) == [index for index, line in enumerate(cut) if len(line) == 40]
    assert lengths.cut([line[:39] + "." for line in lines]) != lengths.cut(cut)


@pytest.mark.parametrize("offset", [-3, -1, 1, 2])
def test_lines_that_slid_fit_their_neighbours(offset: int) -> None:
    sizes = np.random.default_rng(0).integers(20, 120, 1000)
    assert lengths.slid(sizes, sizes) == []
    moved = np.concatenate([sizes[:400], np.roll(sizes, offset)[400:]])
    assert lengths.slid(moved, sizes) == [(400, 600), (600, 800), (800, 1000)]
    assert lengths.slid(np.roll(sizes, offset)[:199], sizes[:199]) == []  # too few to say


def test_independent_descriptions_are_not_out_of_step() -> None:
    first, second = (np.random.default_rng(seed).integers(20, 120, 1000) for seed in (0, 1))
    assert lengths.slid(first, second) == []
    assert lengths.slid(np.full(400, 30), first[:400]) == []


@pytest.mark.slow
@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), max_size=30))
def test_any_lines_can_be_measured(pairs: list[tuple[str, str]]) -> None:
    lines, others = [first for first, _ in pairs], [second for _, second in pairs]
    for found in (lengths.cut(lines), lengths.short(lengths.of(lines), lengths.of(others))):
        assert found == sorted(set(found))
        assert all(0 <= index < len(lines) for index in found)
