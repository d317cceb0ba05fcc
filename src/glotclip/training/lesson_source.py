"""Batches of a lesson, as a pure function of the step; and the learner that the loop trains on them.

Shapes: B batch, E embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from glotclip.data.features import Features
from glotclip.data.sampling import EpochSampler
from glotclip.methods.module import ParameterGroup
from glotclip.methods.objective import Alignment, ObjectiveSettings, Targets
from glotclip.methods.stack import ModuleStack
from glotclip.methods.task import TrainingTask
from glotclip.models.device import DTYPES
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.hooks import TextHooks
from glotclip.models.tokens import Tokens
from glotclip.training.captions import Captions
from glotclip.training.dropout import Noise, drawn, noise_of, noisy
from glotclip.training.loop import Batch, Encoded, Learner, Piece
from glotclip.training.parallel import World
from glotclip.training.settings import TrainSettings


@dataclass(frozen=True)
class CaptionBatch(Batch):
    """A batch of captions: the first rows are ``samples``, (language, text) each; rows rehearsed may follow."""

    samples: tuple[tuple[str, str], ...]


class TaskDataLoader:
    """Batches of a lesson's captions.

    Languages that take the same way through the tower are one pool, mixed in every batch. Where ways differ
    (modules of their own), or ``balance`` says so, a batch is of one language, drawn for each step: uniformly (MLA
    §2), or with probability ∝ captions^balance.

    Args:
        lesson: routes, tokenizer and tokens.
        captions: of each of its languages.
        settings: batch size, seed, balance.
        total: steps that may be asked for.
        device: where batches are put.
        world: the processes that share every batch.
        stage: the number of the stage; each sees the captions in an order of its own.
        partners: whether the texts that captions are aligned with are part of a batch.
    """

    def __init__(
        self,
        task: TrainingTask,
        captions: Mapping[str, Captions],
        settings: TrainSettings,
        total: int,
        *,
        device: torch.device,
        world: World,
        stage: int = 0,
        target_texts: bool = False,
    ) -> None:
        self.settings, self.device, self.pad_id = settings, device, task.tokenizer.pad_id
        self.world, self.stage = world, stage
        self.pools = [_Pool(codes, task, captions, target_texts) for codes in _pools(task, settings.balance)]
        self.samplers = [
            EpochSampler(
                len(pool), settings.batch_size, settings.seed + _STRIDE * stage, rank=world.rank, world=world.size
            )
            for pool in self.pools
        ]
        rng = np.random.default_rng([settings.seed, 1, stage] if stage else [settings.seed, 1])
        if settings.balance:
            sizes = np.array([len(pool) for pool in self.pools], dtype=np.float64) ** settings.balance
            self.choice = rng.choice(len(self.pools), size=total, p=sizes / sizes.sum())
        else:
            self.choice = rng.integers(len(self.pools), size=total)
        self.turn = np.zeros(total, dtype=np.int64)  # how often the step's pool was drawn before
        for number in range(len(self.pools)):
            mine = self.choice == number
            self.turn[mine] = np.arange(mine.sum())

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every caption is seen about once."""
        return sum(sampler.steps_per_epoch for sampler in self.samplers)

    def __call__(self, step: int) -> Sequence[CaptionBatch]:
        """The micro-batches of a step."""
        number = int(self.choice[step])
        indices = self.samplers[number].indices(int(self.turn[step]))
        smallest = self.samplers[number].batch_size // self.world.size  # every process needs as many parts
        parts = np.array_split(indices, min(self.settings.accumulate, smallest))
        return [
            self.pools[number].batch(part, self.pad_id, self.device, self._noise(step, place))
            for place, part in enumerate(parts)
        ]

    def _noise(self, step: int, place: int) -> Noise | None:
        """What is dropped in a step's micro-batch at this place, other in every process."""
        return noise_of(self.settings.dropout, self.settings.seed, self.stage, step, place, self.world.rank)


_STRIDE = 1_000_003  # between the seeds of stages: a run's further seeds are small numbers


def _pools(task: TrainingTask, balance: float | None) -> list[list[str]]:
    """The languages that are mixed with one another."""
    if balance is not None:
        return [[code] for code in task.languages]
    pools: dict[tuple[int, ...], list[str]] = {}
    for code in task.languages:
        pools.setdefault(way(task.stacks[code]), []).append(code)
    return list(pools.values())


def way(route: ModuleStack) -> tuple[int, ...]:
    """What tells routes apart: equal for languages that take the same way through the tower."""
    return route.key


class _Pool:
    """The captions of one or several languages that share a route."""

    def __init__(
        self, codes: Sequence[str], task: TrainingTask, captions: Mapping[str, Captions], target_texts: bool
    ) -> None:
        self.language = codes[0]
        self.samples = [(code, text) for code in codes for text in captions[code].texts]
        self.tokens = _joined([task.tokens[code] for code in codes])
        self.target_features = _Targets([captions[code].target_features for code in codes])
        self.images = _Targets([captions[code].images for code in codes])
        self.groups = np.concatenate([captions[code].groups for code in codes])
        self.target_texts: Tokens | None = None
        if target_texts:
            texts = [target_features for code in codes for target_features in captions[code].target_texts]
            self.has_target = np.array([text is not None for text in texts], dtype=bool)
            self.target_texts = _joined([task.target_tokens[code] for code in codes])

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(
        self, indices: npt.NDArray[np.int64], pad_id: int, device: torch.device, noise: Noise | None
    ) -> CaptionBatch:
        texts = _padded(self.tokens, indices, pad_id, device)
        target_features, has_target = self.target_features.take(indices)
        images, has_image = self.images.take(indices)
        with_partner = None
        if self.target_texts is not None:
            with_partner = _padded(self.target_texts, indices, pad_id, device)
            has_target = torch.from_numpy(self.has_target[indices])
        groups = torch.from_numpy(self.groups[indices])
        targets = Targets(*(part.to(device) for part in (target_features, images, has_target, has_image, groups)))
        samples = tuple(self.samples[index] for index in indices)
        return CaptionBatch((Piece(*texts, self.language, with_partner),), targets, samples, noise=noise)


def _padded(
    tokens: Tokens, indices: npt.NDArray[np.int64], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    ids, lengths = tokens.padded(indices, pad_id)
    return torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device)


class _Targets:
    """Rows of one or several feature arrays, looked up as one; the arrays stay where they are, memory-mapped."""

    def __init__(self, pieces: Sequence[Features]) -> None:
        self.arrays = [piece.array for piece in pieces]
        self.rows = np.concatenate([piece.rows for piece in pieces])
        self.owner = np.repeat(np.arange(len(pieces)), [len(piece.rows) for piece in pieces])

    def take(self, indices: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, E), zero where there is none, and the mask (B,) of those that exist."""
        rows, owner = self.rows[indices], self.owner[indices]
        held = rows >= 0
        features = np.zeros((len(indices), self.arrays[0].shape[1]), dtype=np.float32)
        for number, array in enumerate(self.arrays):
            own = held & (owner == number)
            features[own] = array[rows[own]]
        return torch.from_numpy(features), torch.from_numpy(held)


def _joined(tokens: Sequence[Tokens]) -> Tokens:
    if len(tokens) == 1:
        return tokens[0]
    starts = np.cumsum([0, *(len(each.flat) for each in tokens)])
    offsets = [each.offsets[:-1] + start for each, start in zip(tokens, starts, strict=False)]
    return Tokens(
        np.concatenate([each.flat for each in tokens]),
        np.concatenate([*offsets, starts[-1:]]),
        (),
    )


class TaskModule(Learner):
    """Trains the parts of a lesson through the frozen text tower, under the objective of one stage."""

    def __init__(self, base: DualEncoder, task: TrainingTask, objective: ObjectiveSettings, precision: str) -> None:
        self.base, self.task, self.dtype = base, task, DTYPES[precision]
        self.settings = objective
        self.alignment = Alignment(objective).to(base.device)
        self._own = list({id(m): m for stack in task.stacks.values() for m in stack.text_modules}.values())

    def groups(self) -> Sequence[ParameterGroup]:
        """The lesson's weights and the temperature, which is never decayed."""
        return [*self.task.groups, ParameterGroup("temperature", [self.alignment.temperature], weight_decay=False)]

    def encode(self, batch: Batch) -> Encoded:
        """Raw text features (B, E), with gradients; partners through the same route where the objective says so."""
        with drawn(batch.noise, self.base.device):
            return self._encoded(batch)

    def _encoded(self, batch: Batch) -> Encoded:
        features, target_features = [], []
        start = 0
        for piece in batch.pieces:
            route = noisy(self.task.stacks[piece.language], batch.noise)
            rows = slice(start, start + len(piece.ids))
            start = rows.stop
            if piece.target is None:
                features.append(self._features(piece.ids, piece.lengths, route))
                target_features.append(batch.targets.target_features[rows])
            elif self.settings.target_encoder == "trained":
                both = self._features(*_stacked((piece.ids, piece.lengths), piece.target, self._pad_id), route)
                features.append(both[: len(piece.ids)])
                target_features.append(both[len(piece.ids) :])
            else:
                features.append(self._features(piece.ids, piece.lengths, route))
                with torch.no_grad():
                    target_features.append(self._features(*piece.target, route))
        encoded = any(piece.target is not None for piece in batch.pieces)
        return Encoded(_one(features), _one(target_features) if encoded else None)

    def _features(self, ids: torch.Tensor, lengths: torch.Tensor, route: TextHooks) -> torch.Tensor:
        text = self.base.text
        if not text.trims:  # the tower attends to padding, so every text gets all of it
            ids = F.pad(ids, (0, text.config.context_length - ids.shape[1]), value=self._pad_id)
        features: torch.Tensor = text(ids, lengths, route, precision=self.dtype)
        return features

    @property
    def _pad_id(self) -> int:
        return self.task.tokenizer.pad_id

    def objective(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The alignment loss of the global batch, and the parts' own losses on this process's share of it."""
        loss, parts = self.alignment(features, targets)
        for part in self._own:
            if (own := part.auxiliary_loss()) is not None:
                loss = loss + own
                parts[part.kind] = own.detach()
        return loss, parts


def _stacked(
    one: tuple[torch.Tensor, torch.Tensor], other: tuple[torch.Tensor, torch.Tensor], pad_id: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two padded batches of ids (B, T) and lengths (B,) as one: a single pass costs less than two."""
    width = max(one[0].shape[1], other[0].shape[1])
    ids = [F.pad(each, (0, width - each.shape[1]), value=pad_id) for each, _ in (one, other)]
    return torch.cat(ids), torch.cat([one[1], other[1]])


def _one(pieces: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat(list(pieces)) if len(pieces) > 1 else pieces[0]
