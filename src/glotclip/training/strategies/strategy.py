"""What a strategy against forgetting may do. This one does nothing: tasks follow one another, and that is all.

The data loader and the training module of a task call a strategy's hooks; the trainer does not know of it. What it
remembers from task to task is tensors, which the run commits together with what the task changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch

from glotclip.methods.task import TrainingTask
from glotclip.training.module import Batch
from glotclip.training.settings import ContinualSettings
from glotclip.training.stages import Stage

if TYPE_CHECKING:
    from glotclip.training.task_module import TaskModule


class Strategy:
    """No countermeasure; the base of all strategies.

    Args:
        settings: the run's; those of the strategy are among them.
    """

    name: ClassVar[str] = "none"

    def __init__(self, settings: ContinualSettings) -> None:
        del settings  # this one has none

    def check(self, stages: Sequence[Stage]) -> None:
        """Raise :class:`ConfigError` if the losses leave the strategy nothing to work with."""

    def replay_texts(self) -> Mapping[str, Sequence[str]]:
        """Texts of earlier tasks that will be seen again, by language."""
        return {}

    def anchored_rows(self) -> Mapping[str, torch.Tensor]:
        """Rows that a penalty holds though no text of the task may have them: ids by the module's kind."""
        return {}

    def on_stage_start(self, task: TrainingTask, stage: int) -> None:
        """Called before the first step of every stage, from 0, in a task that is resumed as well."""

    def mix(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Add rows of earlier tasks to a step's micro-batches."""
        return batches

    def extra_loss(self) -> Mapping[str, tuple[float, torch.Tensor]]:
        """Further terms of the loss by name: weight and value."""
        return {}

    def on_step_end(self, batches: Sequence[Batch], features: Sequence[torch.Tensor]) -> None:
        """Called after a step, with its micro-batches and their features before it, without gradients."""

    def on_best(self) -> None:
        """Called when the trainer keeps the weights as the best so far; a stage ends with the last that it keeps."""

    def on_task_end(self, task: TrainingTask, module: TaskModule, batches: Iterable[Sequence[Batch]]) -> None:
        """Called when the last stage is trained.

        Args:
            task: with its final weights.
            module: of the last stage.
            batches: one more pass over the task's captions; nothing is computed unless they are asked for.
        """

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What a checkpoint within a task must hold."""
        return {}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore what :meth:`state_dict` gave."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """What is remembered from task to task."""
        return {}

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Restore what :meth:`tensors` gave."""
