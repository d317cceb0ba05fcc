import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glotclip.data.sampling import EpochSampler, MixtureSampler
from glotclip.errors import ConfigError

sizes = st.integers(1, 40)


@given(sizes, sizes, st.integers(-5, 2**40), st.integers(0, 100))
def test_a_batch_is_a_function_of_seed_and_step_alone(n: int, batch: int, seed: int, step: int) -> None:
    used = EpochSampler(n, batch, seed)
    for other in (step + 7, 0, 3 * step):
        used.indices(other)
    assert used.indices(step).tolist() == EpochSampler(n, batch, seed).indices(step).tolist()


@given(sizes, sizes, st.integers(0, 9), st.integers(0, 5))
def test_an_epoch_shows_each_row_at_most_once(n: int, batch: int, seed: int, epoch: int) -> None:
    sampler = EpochSampler(n, batch, seed)
    steps = range(epoch * sampler.steps_per_epoch, (epoch + 1) * sampler.steps_per_epoch)
    shown = np.concatenate([sampler.indices(step) for step in steps])
    assert shown.dtype == np.int64
    assert len(set(shown.tolist())) == len(shown) == n - n % min(n, batch)
    assert shown.min() >= 0 and shown.max() < n


@given(sizes, sizes, st.integers(0, 9), st.integers(0, 30), st.integers(1, 8))
def test_shards_together_are_the_global_batch(n: int, batch: int, seed: int, step: int, world: int) -> None:
    if min(n, batch) < world:
        with pytest.raises(ConfigError):
            EpochSampler(n, batch, seed, world=world)
        return
    shards = [EpochSampler(n, batch, seed, rank=rank, world=world).indices(step) for rank in range(world)]
    assert np.concatenate(shards).tolist() == EpochSampler(n, batch, seed).indices(step).tolist()
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_epochs_and_seeds_differ() -> None:
    sampler = EpochSampler(100, 100, 0)
    assert sampler.indices(0).tolist() != sampler.indices(1).tolist()
    assert sampler.indices(0).tolist() != EpochSampler(100, 100, 1).indices(0).tolist()


def test_a_caller_cannot_spoil_the_order() -> None:
    sampler = EpochSampler(10, 5, 0)
    before = sampler.indices(0).tolist()
    sampler.indices(0)[:] = -1
    assert sampler.indices(0).tolist() == before


@pytest.mark.parametrize(("n", "batch", "rank", "world"), [(0, 4, 0, 1), (4, 0, 0, 1), (4, 4, 2, 2), (4, 4, -1, 2)])
def test_impossible_settings_are_refused(n: int, batch: int, rank: int, world: int) -> None:
    with pytest.raises(ConfigError):
        EpochSampler(n, batch, 0, rank=rank, world=world)


def test_there_is_no_negative_step() -> None:
    with pytest.raises(ConfigError):
        EpochSampler(4, 2, 0).indices(-1)


parts = st.lists(st.integers(0, 2), min_size=1, max_size=40)
weights = st.lists(st.floats(0.1, 10), min_size=3, max_size=3)


@given(parts, weights, sizes, st.integers(-5, 2**40), st.integers(0, 60))
def test_a_mixed_batch_is_a_function_of_seed_and_step_alone(
    owners: list[int], shares: list[float], batch: int, seed: int, step: int
) -> None:
    made = [MixtureSampler(np.array(owners), shares, batch, seed) for _ in range(2)]
    for other in (step + 70, 0, 3 * step):
        made[0].indices(other)
    assert made[0].indices(step).tolist() == made[1].indices(step).tolist()


@given(parts, weights, sizes, st.integers(0, 9))
def test_every_source_keeps_its_share_over_the_steps(
    owners: list[int], shares: list[float], batch: int, seed: int
) -> None:
    sampler, there = MixtureSampler(np.array(owners), shares, batch, seed), sorted(set(owners))
    whole = sum(shares[each] for each in there)
    batches = [sampler.indices(step) for step in range(50)]
    assert {len(each) for each in batches} == {min(batch, len(owners))}
    seen = np.bincount(np.array(owners)[np.concatenate(batches)], minlength=3)
    for each in there:
        assert abs(seen[each] / seen.sum() - shares[each] / whole) < 4 / seen.sum()


@given(parts, sizes, st.integers(0, 9), st.integers(0, 30), st.integers(1, 8))
def test_shards_of_a_mixture_together_are_the_global_batch(
    owners: list[int], batch: int, seed: int, step: int, world: int
) -> None:
    assume(world <= min(len(owners), batch))
    made = [MixtureSampler(np.array(owners), [1, 2, 3], batch, seed, rank=rank, world=world) for rank in range(world)]
    shards = [each.indices(step).tolist() for each in made]
    assert [row for shard in shards for row in shard] == made[0].global_indices(step).tolist()


def test_a_source_is_gone_through_before_it_begins_again() -> None:
    sampler = MixtureSampler(np.array([0] * 100 + [1] * 10), [1, 1], 10, 0)
    seen = np.concatenate([sampler.indices(step) for step in range(20)])
    assert sorted(seen[seen < 100].tolist()) == list(range(100))
    assert np.bincount(seen[seen >= 100] - 100).tolist() == [10] * 10


def test_weights_are_above_zero() -> None:
    with pytest.raises(ConfigError, match="weights are above 0"):
        MixtureSampler(np.array([0, 1]), [1, 0], 2, 0)
