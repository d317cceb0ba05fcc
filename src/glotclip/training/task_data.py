"""Batches of a task's captions, as a pure function of the step.

Shapes: B batch, M captions, E embedding, T tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from glotclip.data.features import Features
from glotclip.data.sampling import EpochSampler, MixtureSampler
from glotclip.methods.objective import Targets
from glotclip.methods.task import TrainingTask
from glotclip.models.tokens import Tokens, joined
from glotclip.training.captions import Captions
from glotclip.training.dropout import DropoutSeed, dropout_seed
from glotclip.training.module import Batch, LanguageBatch
from glotclip.training.parallel import World
from glotclip.training.settings import TrainSettings
from glotclip.training.strategies.strategy import Strategy

_STRIDE = 1_000_003  # between the seeds of stages: a run's further seeds are small numbers


class TaskDataLoader:
    """Batches of a task's captions.

    Languages with the same module stack are one dataset, mixed in every batch. Where stacks differ (modules of their
    own), or ``balance`` says so, a batch is of one language, drawn for each step: uniformly (MLA §2), or with
    probability ∝ captions^balance. Where captions come from several sources, each has its share of every batch.

    Args:
        task: stacks, tokenizer and tokens.
        captions: of each of its languages.
        settings: batch size, seed, balance, dropout.
        total: steps that may be asked for.
        device: where batches are put.
        world: the processes that share every batch.
        stage: the number of the stage; each sees the captions in an order of its own.
        target_texts: whether the texts that captions are aligned with are part of a batch.
        strategy: adds rows of earlier tasks.
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
        strategy: Strategy | None = None,
    ) -> None:
        self.settings, self.world, self.stage, self.strategy = settings, world, stage, strategy
        self.datasets = [
            CaptionDataset(codes, task, captions, device, target_texts) for codes in _mixed(task, settings.balance)
        ]
        self.samplers = [dataset.sampler(settings, stage, world) for dataset in self.datasets]
        rng = np.random.default_rng([settings.seed, 1, stage] if stage else [settings.seed, 1])
        if settings.balance:
            sizes = np.array([len(dataset) for dataset in self.datasets], dtype=np.float64) ** settings.balance
            self.choice = rng.choice(len(self.datasets), size=total, p=sizes / sizes.sum())
        else:
            self.choice = rng.integers(len(self.datasets), size=total)
        self.turn = np.zeros(total, dtype=np.int64)  # how often the step's dataset was drawn before
        for number in range(len(self.datasets)):
            mine = self.choice == number
            self.turn[mine] = np.arange(mine.sum())

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every caption is seen about once."""
        return sum(sampler.steps_per_epoch for sampler in self.samplers)

    def __call__(self, step: int) -> Sequence[Batch]:
        """The micro-batches of a step."""
        number = int(self.choice[step])
        indices = self.samplers[number].indices(int(self.turn[step]))
        smallest = self.samplers[number].batch_size // self.world.size  # every process needs as many micro-batches
        micro = np.array_split(indices, min(self.settings.accumulate, smallest))
        settings, numbers = self.settings, (self.stage, step)
        batches = [
            self.datasets[number].batch(
                each, dropout_seed(settings.dropout, settings.seed, *numbers, place, self.world.rank)
            )
            for place, each in enumerate(micro)
        ]
        return batches if self.strategy is None else self.strategy.mix(batches)


def _mixed(task: TrainingTask, balance: float | None) -> list[list[str]]:
    """The languages that are mixed with one another in a batch."""
    if balance is not None:
        return [[code] for code in task.languages]
    found: dict[tuple[int, ...], list[str]] = {}
    for code in task.languages:
        found.setdefault(task.stacks[code].key, []).append(code)
    return list(found.values())


class CaptionDataset:
    """The captions of one or several languages that share a module stack, with tokens and targets.

    Args:
        codes: the languages.
        task: tokens of captions and target texts.
        captions: of each language.
        device: where batches are put.
        target_texts: whether target texts are part of a batch.
    """

    def __init__(
        self,
        codes: Sequence[str],
        task: TrainingTask,
        captions: Mapping[str, Captions],
        device: torch.device,
        target_texts: bool,
    ) -> None:
        self.language, self.device, self.pad_id = codes[0], device, task.tokenizer.pad_id
        self.captions = [captions[code] for code in codes]
        self.samples = [(code, text) for code in codes for text in captions[code].texts]
        self.groups = np.concatenate([each.groups for each in self.captions])
        sizes = [len(each) for each in self.captions]
        self.owner = np.repeat(np.arange(len(sizes)), sizes)
        self.row = np.concatenate([np.arange(size) for size in sizes])  # of a caption among its language's
        starts = np.cumsum([0, *sizes])
        self.drawn = np.concatenate(
            [each.of_batches + start for each, start in zip(self.captions, starts, strict=False)]
        )
        self.tokens = joined([task.tokens[code] for code in codes])
        self.target_tokens = joined([task.target_tokens[code] for code in codes]) if target_texts else None
        texts = [text for each in self.captions for text in each.target_texts] if target_texts else []
        self.has_target_text = np.array([text is not None for text in texts], dtype=bool)

    def __len__(self) -> int:
        return len(self.drawn)

    def sampler(self, settings: TrainSettings, stage: int, world: World) -> EpochSampler | MixtureSampler:
        """What draws its batches; where captions are of several sources, each gets its share of every batch."""
        seed, size = settings.seed + _STRIDE * stage, settings.batch_size
        weights = {name: weight for each in self.captions for name, weight in each.weights.items()}
        if len(weights) < 2:
            return EpochSampler(len(self), size, seed, rank=world.rank, world=world.size)
        number = {name: place for place, name in enumerate(weights)}
        mine = [np.array([number[name] for name in each.weights])[each.parts] for each in self.captions]
        return MixtureSampler(
            np.concatenate(mine)[self.drawn], list(weights.values()), size, seed, rank=world.rank, world=world.size
        )

    def batch(self, indices: npt.NDArray[np.int64], dropout: DropoutSeed | None) -> Batch:
        """The captions at these indices (B,) of those that batches are drawn from."""
        indices = self.drawn[indices]
        target_features, has_target = self._features([each.target_features for each in self.captions], indices)
        images, has_image = self._features([each.images for each in self.captions], indices)
        target = None
        if self.target_tokens is not None:
            target = self._padded(self.target_tokens, indices)
            has_target = self.has_target_text[indices]
        arrays = (target_features, images, has_target, has_image, self.groups[indices])
        return Batch(
            (LanguageBatch(*self._padded(self.tokens, indices), self.language, target),),
            Targets(*(torch.from_numpy(array).to(self.device) for array in arrays)),
            tuple(self.samples[index] for index in indices),
            dropout,
        )

    def _padded(self, tokens: Tokens, indices: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        ids, lengths = tokens.padded(indices, self.pad_id)
        return torch.from_numpy(ids).to(self.device), torch.from_numpy(lengths).to(self.device)

    def _features(
        self, sources: Sequence[Features], indices: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Features (B, E), zero where there is none, and the mask (B,) of those that exist.

        The arrays of all languages stay where they are, memory-mapped.
        """
        features = np.zeros((len(indices), sources[0].array.shape[1]), dtype=np.float32)
        present = np.zeros(len(indices), dtype=bool)
        for number, source in enumerate(sources):
            own = np.flatnonzero(self.owner[indices] == number)
            rows = source.rows[self.row[indices[own]]]
            features[own[rows >= 0]] = source.array[rows[rows >= 0]]
            present[own] = rows >= 0
        return features, present


def cat_padded(batches: Sequence[torch.Tensor], pad_id: int) -> torch.Tensor:
    """Several padded batches of ids (B, T) as one, padded to the longest."""
    width = max(ids.shape[1] for ids in batches)
    return torch.cat([F.pad(ids, (0, width - ids.shape[1]), value=pad_id) for ids in batches])
