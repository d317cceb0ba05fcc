"""Experience replay: captions of earlier tasks are seen again.

From the second task on, every batch is followed by samples from a memory of all tasks so far. The cross-lingual loss
is the current rows' alone, the cross-modal one contrasts all of them, and rows from the memory are held to the target
kept with them, with weight one (CLL-CLIP §5.3).

Three things differ from the reference. Texts are tokenised with the current tokenizer, whose merges are all there
(its own tokenizer loses those of every task but the first). A caption is encoded by its language's stack, modules of
its own included. And the memory carried on is as of the weights carried on: where validation selects an earlier
step's, the memory is that step's too, instead of the last step's.

Shapes: B rows, E embedding, T tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from glotclip.errors import ConfigError
from glotclip.methods.objective import Targets
from glotclip.methods.task import TrainingTask
from glotclip.models.tokens import Tokens
from glotclip.training.module import Batch, LanguageBatch
from glotclip.training.settings import TrainSettings
from glotclip.training.stages import Stage
from glotclip.training.strategies.reservoir import Reservoir, Sample
from glotclip.training.strategies.strategy import Strategy
from glotclip.training.task_data import cat_padded

if TYPE_CHECKING:
    from glotclip.training.task_module import TaskModule

_BEST = "best."


class Replay(Strategy):
    """Keeps a reservoir of captions and mixes them into the batches of later tasks.

    Args:
        settings: ``memory`` captions are kept, ``memory_batch`` of them seen a step.
    """

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings
        self.memory = Reservoir(settings.memory, settings.seed)
        self.best: Reservoir | None = None  # the memory when the validation score was best
        self._replays = False  # not in the first task

    @abstractmethod
    def replay_target(self, features: torch.Tensor, targets: Targets, row: int) -> torch.Tensor | None:
        """What a current row is to be held to in later tasks: a vector (E,), or None.

        Args:
            features: the student's, raw, before the step (B, E).
            targets: of the same rows.
            row: which of them.
        """

    def replay_texts(self) -> Mapping[str, Sequence[str]]:
        """The memory's texts."""
        return self.memory.texts()

    def on_stage_start(self, task: TrainingTask, stage: int) -> None:
        """Settle on the memory that belongs to the weights."""
        if stage == 0:
            self._replays = len(self.memory) > 0
        self._settle()
        self._task, self._ids = task, dict[str, npt.NDArray[np.int32]]()

    def mix(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Follow the current rows by samples, divided among the micro-batches."""
        if not self._replays:
            return batches
        drawn = self.memory.draw(self.settings.memory_batch or self.settings.batch_size)
        return [
            self._mixed(batch, [self.memory.samples[slot] for slot in slots]) if len(slots) else batch
            for batch, slots in zip(batches, np.array_split(drawn, len(batches)), strict=True)
        ]

    def on_step_end(self, batches: Sequence[Batch], features: Sequence[torch.Tensor]) -> None:
        """Offer the memory the current rows of all micro-batches, in order."""
        for batch, seen in zip(batches, features, strict=True):
            self.memory.add(len(batch.samples), partial(self._sample, batch, seen))

    def on_best(self) -> None:
        """Keep the memory as it is."""
        self.best = self.memory.copy()

    def on_task_end(self, task: TrainingTask, module: TaskModule, batches: object) -> None:
        """Go on with the memory that belongs to the final weights."""
        self._settle()

    def tensors(self) -> dict[str, torch.Tensor]:
        """The memory."""
        return self.memory.tensors()

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Restore the memory."""
        self.memory = Reservoir.restored(tensors, self.settings.memory, self.settings.seed)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The memory, and that of the best validation so far."""
        stored = self.memory.tensors()
        if self.best is not None:
            stored |= {f"{_BEST}{name}": tensor for name, tensor in self.best.tensors().items()}
        return stored

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore both."""
        self.load_tensors(state)
        if best := {name.removeprefix(_BEST): tensor for name, tensor in state.items() if name.startswith(_BEST)}:
            self.best = Reservoir.restored(best, self.settings.memory, self.settings.seed)

    def _settle(self) -> None:
        """End a stage."""
        if self.best is not None:
            self.memory = self.best
        self.best = None

    def _sample(self, batch: Batch, features: torch.Tensor, row: int) -> Sample:
        """A row of a batch as it is remembered, given the features (B, E)."""
        (language, text), targets = batch.samples[row], batch.targets
        image = targets.images[row].cpu().clone() if targets.has_image[row] else None
        target = self.replay_target(features, targets, row)
        target = None if target is None else target.detach().float().cpu().clone()
        return Sample(language, text, target, image, int(targets.groups[row]))

    def _mixed(self, batch: Batch, samples: Sequence[Sample]) -> Batch:
        """Put samples behind the current rows; texts of one stack are one batch for the tower."""
        (current,) = batch.texts
        stacks, own = self._task.stacks, self._task.stacks[current.language].key
        joins = current.target is None  # else the tower encodes the current rows' targets beside them
        groups: dict[tuple[int, ...], list[Sample]] = {own: []} if joins else {}
        for sample in samples:
            groups.setdefault(stacks[sample.language].key, []).append(sample)
        texts = [] if joins else [current]
        for key, members in groups.items():
            ids, lengths = self._padded([sample.text for sample in members], current.ids.device)
            if joins and key == own:
                ids = cat_padded([current.ids, ids], self._task.tokenizer.pad_id)
                texts.append(replace(current, ids=ids, lengths=torch.cat([current.lengths, lengths])))
            else:
                texts.append(LanguageBatch(ids, lengths, members[0].language))
        ordered = [sample for members in groups.values() for sample in members]
        return replace(batch, texts=tuple(texts), targets=_followed(batch.targets, ordered))

    def _padded(self, texts: Sequence[str], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids (B, T) and lengths (B,) of texts; each text is tokenised once in a stage."""
        tokenizer = self._task.tokenizer
        if new := [text for text in texts if text not in self._ids]:
            tokens = tokenizer.encode(new)
            self._ids.update({text: tokens[row] for row, text in enumerate(new)})
        tokens = Tokens.from_lists([self._ids[text].tolist() for text in texts])
        ids, lengths = tokens.padded(np.arange(len(texts)), tokenizer.pad_id)
        return torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device)


class ExperienceReplay(Replay):
    """Samples are held to the frozen features of their target texts (CLL-CLIP §5.3; Riemer et al. 2019)."""

    name: ClassVar[str] = "er"

    def check(self, stages: Sequence[Stage]) -> None:
        """Ask for frozen target features: those that the student encodes move with it."""
        if any(stage.objective.encodes_targets for stage in stages):
            raise ConfigError(
                "strategy=er holds captions to frozen features, but here target texts are encoded in every step",
                hint="use strategy=der, which keeps the student's own features, or target_encoder=frozen",
            )

    def replay_target(self, features: torch.Tensor, targets: Targets, row: int) -> torch.Tensor | None:
        """The frozen target feature (E,), where there is one."""
        return targets.target_features[row] if targets.has_target[row] else None


class DarkExperienceReplay(Replay):
    """Samples are held to the student's own raw features (CLL-CLIP §5.4; Buzzega et al. 2020).

    In the paper's 13,000 steps a task most captions come by when the student has long learnt the language. In fifty
    steps most come by before, and later tasks would be held to a beginner's features: ``der_features=learnt`` encodes
    the captions of a task anew when it ends.
    """

    name: ClassVar[str] = "der"

    def replay_target(self, features: torch.Tensor, targets: Targets, row: int) -> torch.Tensor | None:
        """The student's feature (E,)."""
        return features[row]

    def on_task_end(self, task: TrainingTask, module: TaskModule, batches: object) -> None:
        """Encode the task's captions in the memory by the final weights, in float32, where the settings say so."""
        super().on_task_end(task, module, batches)
        samples = self.memory.samples
        for code in task.languages if self.settings.der_features == "learnt" else ():
            slots = [slot for slot, sample in enumerate(samples) if sample.language == code]
            tokens = task.tokenizer.encode([samples[slot].text for slot in slots])
            features = module.base.encode_tokens(tokens, task.stacks[code]).cpu()
            for slot, feature in zip(slots, features, strict=True):
                samples[slot] = samples[slot]._replace(target=feature.clone())


def _followed(targets: Targets, samples: Sequence[Sample]) -> Targets:
    """The current rows' targets, followed by those of samples."""
    device = targets.target_features.device

    def cat(current: torch.Tensor, rows: Sequence[torch.Tensor | None]) -> tuple[torch.Tensor, torch.Tensor]:
        nothing = torch.zeros(current.shape[1])
        features = torch.stack([nothing if row is None else row for row in rows]).to(device, current.dtype)
        return torch.cat([current, features]), torch.tensor([row is not None for row in rows], device=device)

    target_features, has_target = cat(targets.target_features, [sample.target for sample in samples])
    images, has_image = cat(targets.images, [sample.image for sample in samples])
    groups = torch.tensor([sample.group for sample in samples], device=device)
    return Targets(
        target_features,
        images,
        torch.cat([targets.has_target, has_target]),
        torch.cat([targets.has_image, has_image]),
        torch.cat([targets.groups, groups]),
        torch.arange(len(target_features), device=device) >= len(targets.target_features),
    )
