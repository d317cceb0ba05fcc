import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.sampling import EpochSampler
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
