"""Seeing earlier captions again: what experience replay and dark experience replay have in common.

From the second task on, every batch is followed by samples from a memory of all tasks so far. The cross-lingual loss
is the current rows' alone, the cross-modal one contrasts all of them, and rows from the memory are held to what is
kept with them, with weight one (CLL-CLIP §5.3).

Three things differ from the reference. Texts are tokenised with the current tokenizer, whose merges are all there
(its own tokenizer loses those of every task but the first). A caption's route is its language's, modules of its own
included. And the memory carried on is as of the weights carried on: where validation picks an earlier step's, the
memory is that step's too, instead of the last step's.

Shapes: B rows, E embedding, T tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from glotclip.methods.objective import Targets
from glotclip.methods.task import TrainingTask
from glotclip.models.tokens import Tokens
from glotclip.training.lesson_source import CaptionBatch, TaskModule, way
from glotclip.training.loop import Batch, Learner, Piece, Source
from glotclip.training.settings import TrainSettings
from glotclip.training.strategies.reservoir import Reservoir, Sample
from glotclip.training.strategies.strategy import Guarded, Strategy

_BEST = "best."


class Rehearsal(Strategy):
    """Keeps a reservoir of captions and mixes them into the batches of later tasks.

    Args:
        settings: ``memory`` captions are kept, ``memory_batch`` of them seen a step.
    """

    def __init__(self, settings: TrainSettings) -> None:
        super().__init__(settings)
        self.memory = Reservoir(settings.memory, settings.seed)
        self.best: Reservoir | None = None  # the memory when the validation score was best
        self.best_score = -float("inf")
        self._rehearses = False

    @abstractmethod
    def held(self, features: torch.Tensor, targets: Targets, row: int) -> torch.Tensor | None:
        """What a current row is to be held to later: a vector (E,), or None.

        Args:
            features: the student's, raw, before the step (B, E).
            targets: of the same rows.
            row: which of them.
        """

    def rehearsed(self) -> Mapping[str, Sequence[str]]:
        """The memory's texts."""
        return self.memory.texts()

    def guard(self, task: TrainingTask, source: Source, learner: Learner, stage: int) -> tuple[Source, Learner]:
        """Follow every batch by samples, unless this is the first task, and offer the memory every current row."""
        if stage == 0:
            self._rehearses = len(self.memory) > 0
        self._settle()
        texts = _Texts(task)
        guarded = _Rehearser(learner, self)
        return (_Mixed(source, task, self, texts) if self._rehearses else source), guarded

    def validated(self, score: float) -> None:
        """Keep the memory as it is at the best score, the one that the loop keeps the weights of."""
        if self.settings.keeps(score, self.best_score):
            self.best_score, self.best = score, self.memory.copy()

    def learnt(self, task: TrainingTask, learner: TaskModule, batches: object) -> None:
        """Go on with the memory that belongs to the final weights."""
        self._settle()

    def keep(self, batch: CaptionBatch, features: torch.Tensor) -> None:
        """Offer the memory the current rows of a batch, with their features (B, E)."""
        slots = self.memory.admit(len(batch.samples))
        kept = {int(slot): row for row, slot in enumerate(slots) if slot >= 0}  # the last one in a slot stays
        for slot, row in sorted(kept.items()):
            language, text = batch.samples[row]
            targets = batch.targets
            image = targets.images[row].cpu().clone() if targets.has_image[row] else None
            held = self.held(features, targets, row)
            held = None if held is None else held.detach().float().cpu().clone()
            self.memory.put(slot, Sample(language, text, held, image, int(targets.groups[row])))

    def tensors(self) -> dict[str, torch.Tensor]:
        """The memory."""
        return self.memory.tensors()

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put the memory back."""
        self.memory = Reservoir.restored(tensors, self.settings.memory, self.settings.seed)

    def state(self) -> dict[str, torch.Tensor]:
        """What must survive a kill within a stage: the memory, and that of the best validation so far."""
        stored = self.memory.tensors()
        if self.best is not None:
            stored |= {f"{_BEST}{name}": tensor for name, tensor in self.best.tensors().items()}
            stored["best_score"] = torch.tensor(self.best_score, dtype=torch.float64)
        return stored

    def resume(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what :meth:`state` gave."""
        self.restore(state)
        if "best_score" in state:
            best = {name.removeprefix(_BEST): tensor for name, tensor in state.items() if name.startswith(_BEST)}
            self.best = Reservoir.restored(best, self.settings.memory, self.settings.seed)
            self.best_score = float(state["best_score"])

    def _settle(self) -> None:
        """End a stage."""
        if self.best is not None:
            self.memory = self.best
        self.best, self.best_score = None, -float("inf")


class _Rehearser(Guarded):
    """Offers every current row to the memory once a step is taken."""

    def __init__(self, inner: Learner, strategy: Rehearsal) -> None:
        super().__init__(inner)
        self.strategy = strategy

    def stepped(self, batches: Sequence[Batch], features: Sequence[torch.Tensor]) -> None:
        """Offer the rows of all micro-batches, in order."""
        super().stepped(batches, features)
        for batch, seen in zip(batches, features, strict=True):
            assert isinstance(batch, CaptionBatch)
            self.strategy.keep(batch, seen)

    def state(self) -> dict[str, torch.Tensor]:
        """The inner one's state and the memory."""
        memory = {f"memory.{name}": tensor for name, tensor in self.strategy.state().items()}
        return {**super().state(), **memory}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Put both back."""
        super().restore({name: tensor for name, tensor in state.items() if not name.startswith("memory.")})
        self.strategy.resume(
            {name.removeprefix("memory."): tensor for name, tensor in state.items() if name.startswith("memory.")}
        )


class _Texts:
    """The ids of texts under a lesson's tokenizer, each computed once."""

    def __init__(self, task: TrainingTask) -> None:
        self.tokenizer = task.tokenizer
        self._ids: dict[str, npt.NDArray[np.int32]] = {}
        for texts in task.replay_texts.values():
            tokens = self.tokenizer.encode(texts)
            self._ids.update({text: tokens[row] for row, text in enumerate(texts)})

    def padded(self, texts: Sequence[str], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids (B, T) and lengths (B,)."""
        if new := [text for text in texts if text not in self._ids]:
            tokens = self.tokenizer.encode(new)
            self._ids.update({text: tokens[row] for row, text in enumerate(new)})
        tokens = Tokens.from_lists([self._ids[text].tolist() for text in texts])
        ids, lengths = tokens.padded(np.arange(len(texts)), self.tokenizer.pad_id)
        return torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device)


class _Mixed:
    """A source whose batches are followed by samples from the memory, divided among a step's micro-batches."""

    def __init__(self, source: Source, task: TrainingTask, strategy: Rehearsal, texts: _Texts) -> None:
        self.source, self.task, self.strategy, self.texts = source, task, strategy, texts

    def __call__(self, step: int) -> Sequence[Batch]:
        """The micro-batches of a step."""
        batches = self.source(step)
        settings = self.strategy.settings
        drawn = self.strategy.memory.draw(settings.memory_batch or settings.batch_size)
        mixed: list[Batch] = []
        for batch, slots in zip(batches, np.array_split(drawn, len(batches)), strict=True):
            assert isinstance(batch, CaptionBatch)
            samples = [self.strategy.memory.samples[slot] for slot in slots]
            mixed.append(self._mix(batch, samples) if samples else batch)
        return mixed

    def _mix(self, batch: CaptionBatch, samples: Sequence[Sample]) -> CaptionBatch:
        """Put the samples behind the current rows, those of one route in one piece."""
        (current,) = batch.pieces
        ways: dict[tuple[int, ...], list[Sample]] = {}
        if current.target is None:  # those of the current route go with the current rows in one pass
            ways[way(self.task.stacks[current.language])] = []
        for sample in samples:
            ways.setdefault(way(self.task.stacks[sample.language]), []).append(sample)
        pieces = [] if current.target is None else [current]
        for number, each in enumerate(ways.values()):
            joins = number == 0 and current.target is None
            if not each:
                pieces.append(current)
                continue
            ids, lengths = self.texts.padded([sample.text for sample in each], current.ids.device)
            if joins:
                width = max(ids.shape[1], current.ids.shape[1])
                pad = self.task.tokenizer.pad_id
                ids = torch.cat([F.pad(part, (0, width - part.shape[1]), value=pad) for part in (current.ids, ids)])
                lengths = torch.cat([current.lengths, lengths])
            pieces.append(Piece(ids, lengths, current.language if joins else each[0].language))
        ordered = [sample for each in ways.values() for sample in each]
        return replace(batch, pieces=tuple(pieces), targets=_joined(batch.targets, ordered))


def _joined(targets: Targets, samples: Sequence[Sample]) -> Targets:
    """The current rows' targets, followed by those of samples."""
    device = targets.target_features.device

    def stacked(like: torch.Tensor, rows: list[torch.Tensor | None]) -> tuple[torch.Tensor, torch.Tensor]:
        nothing = torch.zeros(like.shape[1])
        features = torch.stack([nothing if row is None else row for row in rows]).to(device, like.dtype)
        return torch.cat([like, features]), torch.tensor([row is not None for row in rows], device=device)

    target_features, has_target = stacked(targets.target_features, [sample.held for sample in samples])
    images, has_image = stacked(targets.images, [sample.image for sample in samples])
    groups = torch.tensor([sample.group for sample in samples], device=device)
    return Targets(
        target_features,
        images,
        torch.cat([targets.has_target, has_target]),
        torch.cat([targets.has_image, has_image]),
        torch.cat([targets.groups, groups]),
        torch.arange(len(target_features), device=device) >= len(targets.target_features),
    )
