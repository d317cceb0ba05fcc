"""The order of training rows as a pure function of seed and step, so that resuming needs no random state."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glotclip.errors import ConfigError


class EpochSampler:
    """Row indices for every step: a new permutation each epoch, its last partial batch dropped.

    Args:
        n: number of rows. With fewer rows than ``batch_size`` every batch is the whole permuted set.
        batch_size: global batch size B, over all processes.
        seed: two samplers with equal arguments give equal batches.
        rank: this process, from 0.
        world: number of processes. Their shards, put one after another, are the global batch in its order;
            sizes differ by at most one.
    """

    def __init__(self, n: int, batch_size: int, seed: int, *, rank: int = 0, world: int = 1) -> None:
        if n < 1 or batch_size < 1:
            raise ConfigError(
                f"cannot draw batches of {batch_size} from {n} rows", hint="both must be at least 1; check the data"
            )
        if not 0 <= rank < world or min(n, batch_size) < world:
            raise ConfigError(
                f"process {rank} of {world} cannot share batches of {min(n, batch_size)} rows",
                hint="use a batch size of at least the number of processes",
            )
        self.n, self.batch_size, self.seed, self.rank, self.world = n, min(n, batch_size), seed, rank, world
        self.steps_per_epoch = n // self.batch_size
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def indices(self, step: int) -> npt.NDArray[np.int64]:
        """Return this process's row indices (B / world,) for ``step``, which counts from 0."""
        batch = self.global_indices(step)
        low, high = (self.batch_size * rank // self.world for rank in (self.rank, self.rank + 1))
        return batch[low:high]

    def global_indices(self, step: int) -> npt.NDArray[np.int64]:
        """Return the row indices (B,) of all processes for ``step``."""
        if step < 0:
            raise ConfigError(f"there is no step {step}", hint="steps count from 0")
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            # SeedSequence takes non-negative words only; the mask keeps negative seeds usable and distinct.
            words = [self.seed & 0xFFFF_FFFF_FFFF_FFFF, epoch]
            self._order = np.random.default_rng(words).permutation(self.n).astype(np.int64)
            self._epoch = epoch
        return self._order[place * self.batch_size : (place + 1) * self.batch_size].copy()
