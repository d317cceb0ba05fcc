"""Batches of a lesson, as a pure function of the step; and the learner that the loop trains on them.

Shapes: B batch, E embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from glotclip.data.features import Features
from glotclip.data.sampling import EpochSampler
from glotclip.methods.lesson import Lesson, ParameterGroup
from glotclip.methods.objective import Alignment, Targets
from glotclip.models.device import DTYPES
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.tokens import Tokens
from glotclip.training.captions import Captions
from glotclip.training.loop import Batch
from glotclip.training.parallel import World
from glotclip.training.settings import TrainSettings


class LessonSource:
    """Batches of a lesson's captions.

    Languages that take the same way through the tower are one pool, mixed in every batch. Where ways differ
    (modules of their own), a batch is of one language, drawn uniformly for each step (MLA §2).
    """

    def __init__(
        self,
        lesson: Lesson,
        captions: Mapping[str, Captions],
        settings: TrainSettings,
        total: int,
        *,
        device: torch.device,
        world: World,
    ) -> None:
        self.settings, self.device, self.pad_id = settings, device, lesson.tokenizer.pad_id
        self.processes = world.size
        pools: dict[tuple[int, ...], list[str]] = {}
        for code, route in lesson.routes.items():
            pools.setdefault(tuple(id(part) for part in route.parts), []).append(code)
        self.pools = [_Pool(codes, lesson, captions) for codes in pools.values()]
        self.samplers = [
            EpochSampler(len(pool), settings.batch_size, settings.seed, rank=world.rank, world=world.size)
            for pool in self.pools
        ]
        rng = np.random.default_rng([settings.seed, 1])
        self.choice = rng.integers(len(self.pools), size=total)
        self.turn = np.zeros(total, dtype=np.int64)  # how often the step's pool was drawn before
        for number in range(len(self.pools)):
            mine = self.choice == number
            self.turn[mine] = np.arange(mine.sum())

    def __call__(self, step: int) -> Sequence[Batch]:
        """The micro-batches of a step."""
        number = int(self.choice[step])
        indices = self.samplers[number].indices(int(self.turn[step]))
        smallest = self.samplers[number].batch_size // self.processes  # every process needs as many parts
        parts = np.array_split(indices, min(self.settings.accumulate, smallest))
        return [self.pools[number].batch(part, self.pad_id, self.device) for part in parts]


class _Pool:
    """The captions of one or several languages that share a route."""

    def __init__(self, codes: Sequence[str], lesson: Lesson, captions: Mapping[str, Captions]) -> None:
        self.language = codes[0]
        self.tokens = _joined([lesson.tokens[code] for code in codes])
        self.english = _Targets([captions[code].english for code in codes])
        self.images = _Targets([captions[code].images for code in codes])
        self.groups = np.concatenate([captions[code].groups for code in codes])

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, indices: npt.NDArray[np.int64], pad_id: int, device: torch.device) -> Batch:
        ids, lengths = self.tokens.padded(indices, pad_id)
        english, has_english = self.english.take(indices)
        images, has_image = self.images.take(indices)
        groups = torch.from_numpy(self.groups[indices])
        targets = Targets(*(part.to(device) for part in (english, images, has_english, has_image, groups)))
        return Batch(torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device), self.language, targets)


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


class LessonLearner:
    """Trains the parts of a lesson through the frozen text tower."""

    def __init__(self, base: DualEncoder, lesson: Lesson, objective: Alignment, precision: str) -> None:
        self.base, self.lesson, self.dtype = base, lesson, DTYPES[precision]
        self.alignment = objective.to(base.device)

    def groups(self) -> Sequence[ParameterGroup]:
        """The lesson's weights and the temperature, which is never decayed."""
        return [*self.lesson.groups, ParameterGroup("temperature", [self.alignment.temperature], weight_decay=False)]

    def encode(self, batch: Batch) -> torch.Tensor:
        """Raw text features (B, E), with gradients."""
        route, text = self.lesson.routes[batch.language], self.base.text
        ids = batch.ids
        if not text.trims:  # the tower attends to padding, so every text gets all of it
            missing = text.config.context_length - ids.shape[1]
            ids = F.pad(ids, (0, missing), value=self.lesson.tokenizer.pad_id)
        features: torch.Tensor = text(ids, batch.lengths, route, precision=self.dtype)
        return features

    def objective(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The alignment loss of the global batch."""
        loss, parts = self.alignment(features, targets)
        return loss, parts
