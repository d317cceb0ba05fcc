"""Teaching one lesson: its stages one after another through the one loop.

Shapes: M texts, E embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.methods.task import TrainingTask
from glotclip.models.device import Precision
from glotclip.models.dual_encoder import DualEncoder
from glotclip.textforms import NONE, TextForm
from glotclip.training.captions import Captions
from glotclip.training.lesson_source import TaskDataLoader, TaskModule
from glotclip.training.loop import Batch, FitResult, Learner, Source, fit
from glotclip.training.parallel import World
from glotclip.training.settings import TrainSettings
from glotclip.training.stages import Stage
from glotclip.training.strategies.strategy import Strategy

TextForms = Callable[[str], TextForm]  # language → the form of its texts


def as_written(lang: str) -> TextForm:
    """No normalisation."""
    return TextForm(NONE)


@dataclass(frozen=True)
class TaskEncoder:
    """Encodes texts with the weights of a lesson as they are at that moment, for validation."""

    base: DualEncoder
    task: TrainingTask
    precision: Precision = "fp32"
    text_form: TextForms = as_written

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str], lang: str) -> npt.NDArray[np.float32]:
        """Return normalised features (M, E)."""
        form, route = self.text_form(lang), self.task.stacks[lang]
        tokens = self.task.tokenizer.encode([form(text, lang) for text in texts])
        features = self.base.encode_tokens(tokens, route, precision=self.precision)
        array: npt.NDArray[np.float32] = F.normalize(features, dim=-1).float().cpu().numpy()
        return array


Validate = Callable[[TaskEncoder, Sequence[str]], float]  # a score of the lesson's languages, higher is better


@dataclass
class Teacher:
    """What every lesson of a run is taught with.

    Args:
        base: the frozen dual encoder.
        precision: what is computed in.
        world: the processes that train together.
        folder: where checkpoints go; None keeps none.
        identity: of the run.
        log: called after every step with its numbers; ``step`` and ``total`` count over all stages.
        validate: asked where ``evaluate_every`` says so; the best weights of a stage are kept.
        stop: asked after every step.
        strategy: against forgetting, with what it remembers of earlier tasks; None does nothing.
        text_form: the form of each language's texts, for validation; captions are in it already.
    """

    base: DualEncoder
    precision: Precision = "fp32"
    world: World = field(default_factory=World)
    folder: Path | None = None
    identity: str = ""
    log: Callable[[dict[str, Any]], None] = lambda numbers: None
    validate: Validate | None = None
    stop: Callable[[], bool] = lambda: False
    strategy: Strategy | None = None
    text_form: TextForms = as_written

    def teach(
        self, task: TrainingTask, captions: Mapping[str, Captions], stages: Sequence[Stage], steps: Sequence[int]
    ) -> FitResult:
        """Train a lesson's weights; what was done before a kill is not done again.

        Args:
            lesson: what trains.
            captions: of each of its languages.
            stages: losses, one after another; optimiser and schedule start anew with each.
            steps: optimiser steps of each stage.

        Raises:
            ConfigError: if a strategy is asked for among several processes.
        """
        strategy = self.strategy or Strategy(TrainSettings())
        if strategy.name != Strategy.name and self.world.size > 1:
            raise ConfigError(
                f"strategy={strategy.name} works in one process, not in {self.world.size}",
                hint="start one process, or use strategy=none",
            )
        results: list[FitResult] = []
        name, encoder = task.name, TaskEncoder(self.base, task, self.precision, self.text_form)
        for number, (stage, count) in enumerate(zip(stages, steps, strict=True)):
            captions_source = self._source(task, captions, stage, count, number)
            batches: Source = captions_source
            learner = TaskModule(self.base, task, stage.objective, self.precision)
            guarded: Learner
            batches, guarded = strategy.guard(task, batches, learner, number)
            before = sum(steps[:number])
            results.append(
                fit(
                    guarded,
                    batches,
                    count,
                    stage.train,
                    precision=self.precision,
                    world=self.world,
                    resume_from=self._checkpoint(name, number),
                    identity=f"{self.identity}:{name}:{number}",
                    log=self._logger(name, stage.name, before, sum(steps)),
                    validate=self._validator(encoder, task.languages, strategy),
                    steps_per_epoch=captions_source.steps_per_epoch,
                    stop=self.stop,
                    keep=number + 1 < len(stages),
                )
            )
        strategy.learnt(task, learner, self._once_more(task, captions, stage, len(stages)))
        return _summed(results)

    def _source(
        self, task: TrainingTask, captions: Mapping[str, Captions], stage: Stage, steps: int, number: int
    ) -> TaskDataLoader:
        return TaskDataLoader(
            task, captions, stage.train, steps,
            device=self.base.device, world=self.world, stage=number, target_texts=stage.objective.encodes_targets,
        )  # fmt: skip

    def _once_more(
        self, task: TrainingTask, captions: Mapping[str, Captions], stage: Stage, number: int
    ) -> Iterator[Sequence[Batch]]:
        """One more pass over the captions, in an order of its own and without dropout."""
        stage = replace(stage, train=stage.train.model_copy(update={"dropout": 0.0}))
        steps = self._source(task, captions, stage, 0, number).steps_per_epoch
        source = self._source(task, captions, stage, steps, number)
        for step in range(steps):
            if self.stop():
                raise KeyboardInterrupt
            yield source(step)

    def forget(self, task: TrainingTask, stages: Sequence[Stage]) -> None:
        """Remove a lesson's checkpoints, once what came of it is safe."""
        for number in range(len(stages)):
            if path := self._checkpoint(task.name, number):
                path.unlink(missing_ok=True)

    def _checkpoint(self, name: str, number: int) -> Path | None:
        return None if self.folder is None else self.folder / f"{name}.{number}.safetensors"

    def _logger(self, name: str, stage: str, before: int, total: int) -> Callable[[dict[str, Any]], None]:
        facts = {"task": name, "stage": stage} if stage else {"task": name}
        return lambda numbers: self.log({**facts, **numbers, "step": before + numbers["step"], "total": total})

    def _validator(
        self, encoder: TaskEncoder, languages: Sequence[str], strategy: Strategy
    ) -> Callable[[], float] | None:
        validate = self.validate
        if validate is None:
            return None

        def scored() -> float:
            score = validate(encoder, languages)
            strategy.validated(score)
            return score

        return scored


def _summed(results: Sequence[FitResult]) -> FitResult:
    """The stages' results as one: steps, time and decay of all, validation scores of the last."""
    last = results[-1]
    return FitResult(
        steps=sum(result.steps for result in results),
        seconds=sum(result.seconds for result in results),
        decay=float(np.prod([result.decay for result in results])),
        resumed_at=sum(result.resumed_at for result in results),
        best_step=last.best_step,
        best_score=last.best_score,
        last=last.last,
    )
