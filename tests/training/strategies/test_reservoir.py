"""The memory: everything that came by is equally likely to be held, and nothing depends on when a run was killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glotclip.training import checkpoint
from glotclip.training.strategies.reservoir import Reservoir, Sample


def fill(memory: Reservoir, stop: int, step: int) -> Reservoir:
    """Offer the numbers up to ``stop``, so many at a time."""
    while memory.seen < stop:
        offer(memory, min(step, stop - memory.seen))
    return memory


def offer(memory: Reservoir, count: int) -> None:
    """Offer the next numbers, as samples whose group they are."""
    first = memory.seen

    def make(place: int) -> Sample:
        number = first + place
        target = torch.full((3,), float(number)) if number % 3 else None
        return Sample("de" if number % 2 else "fr", f"t{number}é", target, None, number)

    memory.add(count, make)


@pytest.mark.slow
def test_every_sample_is_equally_likely() -> None:
    runs, capacity, count = 3000, 6, 24
    held = np.zeros(count)
    for seed in range(runs):
        for sample in fill(Reservoir(capacity, seed), count, 5).samples:
            held[sample.group] += 1
    expected = runs * capacity / count
    variance = expected * (1 - capacity / count)
    chi_squared = ((held - expected) ** 2 / variance).sum() * (count - 1) / count
    assert chi_squared < 49.7  # of 23 degrees of freedom, exceeded once in a thousand draws
    assert held.sum() == runs * capacity


@given(st.integers(1, 12), st.lists(st.integers(1, 7), max_size=12))
def test_it_is_filled_in_order_and_never_beyond_the_capacity(capacity: int, offers: list[int]) -> None:
    memory = Reservoir(capacity, 1)
    for count in offers:
        offer(memory, count)
        groups = [each.group for each in memory.samples]
        assert len(set(groups)) == len(groups) == min(capacity, memory.seen)
        assert memory.seen > capacity or groups == list(range(memory.seen))
    assert memory.seen == sum(offers)


def test_a_draw_has_no_sample_twice_and_changes_with_what_was_seen() -> None:
    memory = fill(Reservoir(10, 0), 30, 4)
    first = memory.draw(6)
    assert len(set(first.tolist())) == 6
    assert np.array_equal(first, memory.draw(6))
    assert sorted(memory.draw(99)) == list(range(10))
    assert not np.array_equal(first, fill(memory, 34, 4).draw(6))


@pytest.mark.parametrize("seen", [0, 4, 25])
def test_stored_and_restored_it_goes_on_as_if_nothing_had_happened(tmp_path: Path, seen: int) -> None:
    path = tmp_path / "1.safetensors"
    memory = fill(Reservoir(8, 3), seen, 5)
    checkpoint.save(path, memory.tensors(), {})
    stored = checkpoint.load(path)
    assert stored is not None
    again = Reservoir.restored(stored[0], 8, 3)
    assert again.texts() == memory.texts()
    for one in (memory, again):
        fill(one, 60, 5)
    assert [sample[:2] + sample[4:] for sample in again.samples] == [s[:2] + s[4:] for s in memory.samples]
    for mine, theirs in zip(again.samples, memory.samples, strict=True):
        assert (mine.target is None) == (theirs.target is None)
        assert mine.target is None or theirs.target is None or torch.equal(mine.target, theirs.target)


def test_another_capacity_keeps_what_fits() -> None:
    tensors = fill(Reservoir(8, 3), 25, 5).tensors()
    smaller, larger = Reservoir.restored(tensors, 3, 3), Reservoir.restored(tensors, 20, 3)
    assert (len(smaller), smaller.seen) == (3, 25)
    assert len(larger) == 8
    assert len(fill(larger, larger.seen + 12, 5)) == 20


def test_a_copy_goes_its_own_way() -> None:
    memory = fill(Reservoir(4, 0), 4, 2)
    other = memory.copy()
    fill(memory, 40, 4)
    assert [sample.group for sample in other.samples] == [0, 1, 2, 3]
    assert other.seen == 4
