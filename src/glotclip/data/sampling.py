"""The order of training rows as a pure function of seed and step, so that resuming needs no random state."""

from __future__ import annotations

from collections.abc import Sequence

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


_UNIT = 1 << 16
_GOLDEN = 40_503  # the golden ratio in units: multiples of it, modulo one, lie evenly


class MixtureSampler:
    """Row indices for every step, of which each source has its share, however many rows it has.

    Of a batch of B a source of weight w gets B · w / Σw rows, rounded down or up so that the share is kept over the
    steps. Each source is gone through in an order of its own, a new one each time it comes to its end; a small source
    is therefore seen more often than a large one.

    Args:
        parts: int64 (n,), the source of each row.
        weights: of the sources, positive; one without rows has no share.
        batch_size: global batch size B, over all processes.
        seed: two samplers with equal arguments give equal batches.
        rank: this process, from 0.
        world: number of processes; see :class:`EpochSampler`.
    """

    def __init__(
        self,
        parts: npt.NDArray[np.int64],
        weights: Sequence[float],
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        whole = EpochSampler(len(parts), batch_size, seed, rank=rank, world=world)  # checks, and the sizes
        self.batch_size, self.seed, self.rank, self.world = whole.batch_size, seed, rank, world
        self.steps_per_epoch = whole.steps_per_epoch
        found = [(number, np.flatnonzero(parts == number)) for number in range(len(weights))]
        self.rows = {number: rows for number, rows in found if len(rows)}
        given = np.array([weights[number] for number in self.rows], dtype=np.float64)
        if not (given > 0).all():
            raise ConfigError(f"weights are above 0, not {min(weights):g}", hint="leave a source of weight 0 out")
        # In whole units, so that every machine rounds the same way.
        self._edges = np.rint(np.cumsum(given) / given.sum() * _UNIT).astype(np.int64)
        self._counts = np.empty((0, len(given)), np.int64)
        self._orders: dict[tuple[int, int], npt.NDArray[np.int64]] = {}

    def indices(self, step: int) -> npt.NDArray[np.int64]:
        """Return this process's row indices (B / world,) for ``step``, which counts from 0."""
        batch = self.global_indices(step)
        low, high = (self.batch_size * rank // self.world for rank in (self.rank, self.rank + 1))
        return batch[low:high]

    def global_indices(self, step: int) -> npt.NDArray[np.int64]:
        """Return the row indices (B,) of all processes for ``step``, the sources mixed."""
        if step < 0:
            raise ConfigError(f"there is no step {step}", hint="steps count from 0")
        if step >= len(self._counts):
            self._counts = self._shares(2 * step + 1_024)
        before = self._counts[:step].sum(axis=0)
        taken = [
            self._take(number, int(first), int(count))
            for number, first, count in zip(self.rows, before, self._counts[step], strict=True)
        ]
        mixed = np.random.default_rng([self.seed & 0xFFFF_FFFF_FFFF_FFFF, step, 1]).permutation(self.batch_size)
        return np.concatenate(taken)[mixed]

    def _shares(self, steps: int) -> npt.NDArray[np.int64]:
        """How many rows of each source the first steps have (steps, sources), by systematic sampling."""
        offset = (np.arange(steps, dtype=np.int64) * _GOLDEN % _UNIT)[:, None]
        edges: npt.NDArray[np.int64] = (self.batch_size * self._edges[None, :] + offset) // _UNIT
        return np.diff(edges, axis=1, prepend=0)

    def _take(self, number: int, first: int, count: int) -> npt.NDArray[np.int64]:
        """The rows of a source from its ``first`` on, in the order that it is gone through."""
        rows = self.rows[number]
        places = np.arange(first, first + count)
        found = np.empty(count, np.int64)
        for turn in np.unique(places // len(rows)):
            mine = places // len(rows) == turn
            found[mine] = self._order(number, int(turn))[places[mine] % len(rows)]
        return found

    def _order(self, number: int, turn: int) -> npt.NDArray[np.int64]:
        """The rows of a source in the order of its ``turn``-th pass."""
        key = (number, turn)
        if key not in self._orders:
            self._orders = {
                old: order for old, order in self._orders.items() if old[0] != number or old[1] == turn - 1
            }
            words = [self.seed & 0xFFFF_FFFF_FFFF_FFFF, turn, number + 2]
            self._orders[key] = self.rows[number][np.random.default_rng(words).permutation(len(self.rows[number]))]
        return self._orders[key]
