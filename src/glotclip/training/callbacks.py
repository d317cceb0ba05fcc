"""What a run tells and asks while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask
    from glotclip.packs.polyglot import Polyglot
    from glotclip.training.task_trainer import TaskEncoder
    from glotclip.training.trainer import FitResult

    Evaluate = Callable[[Polyglot, Sequence[str]], dict[str, Any]]  # scores by language
    Validate = Callable[[TaskEncoder, Sequence[str]], float]  # a score of the task's languages, higher is better


@dataclass
class Callbacks:
    """Functions that a run calls; every field may stay at its default.

    Attributes:
        log: after every step, with its numbers.
        task_started: before a task, with its name, the task, and how many steps it takes.
        task_done: after a task, with its name, what training did, and scores.
        evaluate: scores languages, before the first task and after each.
        validate: scores the task in training, as often as ``evaluate_every`` says.
        stop: asked after every step; once true, the state is saved and KeyboardInterrupt raised.
    """

    log: Callable[[dict[str, Any]], None] = lambda numbers: None
    task_started: Callable[[str, TrainingTask, int], None] = lambda name, task, steps: None
    task_done: Callable[[str, FitResult, dict[str, Any]], None] = lambda name, result, scores: None
    evaluate: Evaluate | None = None
    validate: Validate | None = None
    stop: Callable[[], bool] = lambda: False
