"""What a strategy against forgetting may do. This one does nothing: tasks follow one another, and that is all.

A strategy stands around the batches and the learner of a lesson; the loop does not know of it. What it remembers from
task to task is tensors, which the run commits together with what the task changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import torch

from glotclip.methods.module import ParameterGroup
from glotclip.methods.objective import Targets
from glotclip.methods.task import TrainingTask
from glotclip.training.lesson_source import TaskModule
from glotclip.training.loop import Batch, Encoded, Learner, Source
from glotclip.training.settings import TrainSettings
from glotclip.training.stages import Stage


class Strategy:
    """Teaches tasks one after another without a countermeasure; the base of all that have one.

    Args:
        settings: the run's; those of the strategy are among them.
    """

    name: ClassVar[str] = "none"

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings

    def check(self, stages: Sequence[Stage]) -> None:
        """Raise :class:`ConfigError` if the losses leave the strategy nothing to work with."""
        return

    def rehearsed(self) -> Mapping[str, Sequence[str]]:
        """Texts of earlier tasks that will be seen again, by language."""
        return {}

    def anchored(self) -> Mapping[str, torch.Tensor]:
        """Rows that a penalty holds though no text of the task may have them: ids by the part's kind."""
        return {}

    def guard(self, task: TrainingTask, source: Source, learner: Learner, stage: int) -> tuple[Source, Learner]:
        """Stand around a stage's batches and learner, before its first step.

        It is called for every stage of a task, from 0, in a task that goes on after a kill as well.
        """
        return source, learner

    def validated(self, score: float) -> None:
        """Look at a validation's score; the weights that a stage ends with are those that the settings keep."""
        return

    def learnt(self, task: TrainingTask, learner: TaskModule, batches: Iterable[Sequence[Batch]]) -> None:
        """Look back on a task whose last stage is trained.

        Args:
            lesson: with its final weights.
            learner: of the last stage, without anything around it.
            batches: one more pass over the task's captions; nothing is computed unless they are asked for.
        """
        return

    def tensors(self) -> dict[str, torch.Tensor]:
        """What is remembered from task to task."""
        return {}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put back what :meth:`tensors` gave."""
        return


class Guarded(Learner):
    """A learner with something around it; this class changes nothing.

    Args:
        inner: the learner within.
    """

    def __init__(self, inner: Learner) -> None:
        self.inner = inner

    def groups(self) -> Sequence[ParameterGroup]:
        """The inner one's."""
        return self.inner.groups()

    def encode(self, batch: Batch) -> Encoded:
        """As the inner one does."""
        return self.inner.encode(batch)

    def objective(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The inner one's, of features (B, E)."""
        return self.inner.objective(features, targets)

    def stepped(self, batches: Sequence[Batch], features: Sequence[torch.Tensor]) -> None:
        """Let the inner one look."""
        self.inner.stepped(batches, features)

    def state(self) -> dict[str, torch.Tensor]:
        """The inner one's."""
        return self.inner.state()

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Give the inner one its state back."""
        self.inner.restore(state)
