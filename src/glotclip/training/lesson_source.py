"""Batches of a lesson, as a pure function of the step; and the learner that the loop trains on them.

Shapes: B batch, E embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

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
        parts = np.array_split(indices, self.settings.accumulate)
        return [self.pools[number].batch(part, self.pad_id, self.device) for part in parts if len(part)]


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
    """Rows of one or several feature arrays, looked up as one."""

    def __init__(self, pieces: Sequence[Features]) -> None:
        self.arrays = [piece.array for piece in pieces]
        same = all(array.shape == self.arrays[0].shape for array in self.arrays)
        # Languages usually share one cache file; then there is one array, otherwise they are put together.
        shared = same and all(np.shares_memory(array, self.arrays[0]) for array in self.arrays)
        if len(pieces) == 1 or shared:
            self.array, self.rows = self.arrays[0], np.concatenate([piece.rows for piece in pieces])
        else:
            starts = np.cumsum([0, *(len(array) for array in self.arrays)])
            self.array = np.concatenate(self.arrays)
            shifted = [np.where(p.rows >= 0, p.rows + s, -1) for p, s in zip(pieces, starts, strict=False)]
            self.rows = np.concatenate(shifted)

    def take(self, indices: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, E), zero where there is none, and the mask (B,) of those that exist."""
        rows = self.rows[indices]
        held = rows >= 0
        features = np.zeros((len(indices), self.array.shape[1]), dtype=np.float32)
        features[held] = self.array[rows[held]]
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
        route = self.lesson.routes[batch.language]
        features: torch.Tensor = self.base.text(batch.ids, batch.lengths, route, precision=self.dtype)
        return features

    def objective(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The alignment loss of the global batch."""
        loss, parts = self.alignment(features, targets)
        return loss, parts
