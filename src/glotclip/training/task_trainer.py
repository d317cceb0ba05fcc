"""Training one task: its stages one after another, each by the one loop.

Shapes: M texts, E embedding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from glotclip.errors import ConfigError
from glotclip.methods.task import TrainingTask
from glotclip.models.device import Precision
from glotclip.models.dual_encoder import DualEncoder, normalised
from glotclip.textforms import NONE, TextForm
from glotclip.training.callbacks import Callbacks
from glotclip.training.captions import Captions
from glotclip.training.module import Batch
from glotclip.training.parallel import World
from glotclip.training.settings import TrainSettings
from glotclip.training.stages import Stage
from glotclip.training.strategies.strategy import Strategy
from glotclip.training.task_data import TaskDataLoader
from glotclip.training.task_module import TaskModule
from glotclip.training.trainer import FitResult, Trainer, Validation

TextForms = Callable[[str], TextForm]  # language → the form of its texts


def as_written(lang: str) -> TextForm:
    """No normalisation."""
    return TextForm(NONE)


class TaskEncoder:
    """Encodes texts as the pack would that a task became if it ended now, for validation.

    Without gradients, modules read any text as what is stored of them will; nothing is copied for that.

    Args:
        base: the frozen dual encoder.
        task: in training.
        precision: what is computed in.
        text_form: the form of each language's texts.
    """

    def __init__(
        self, base: DualEncoder, task: TrainingTask, precision: Precision = "fp32", text_form: TextForms = as_written
    ) -> None:
        self.base, self.task, self.precision, self.text_form = base, task, precision, text_form

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str], lang: str) -> npt.NDArray[np.float32]:
        """Return normalised features (M, E)."""
        form = self.text_form(lang)
        tokens = self.task.tokenizer.encode([form(text, lang) for text in texts])
        features = self.base.encode_tokens(tokens, self.task.stacks[lang], precision=self.precision)
        array: npt.NDArray[np.float32] = normalised(features).float().cpu().numpy()
        return array


@dataclass
class TaskTrainer:
    """Trains tasks.

    Args:
        base: the frozen dual encoder.
        precision: what is computed in.
        world: the processes that train together.
        folder: where checkpoints go; None keeps none.
        identity: of the run.
        callbacks: ``log``, whose ``step`` and ``total`` count over all stages, ``validate`` and ``stop``.
        strategy: against forgetting, with what it remembers of earlier tasks; None does nothing.
        text_form: the form of each language's texts, for validation; captions are in it already.
    """

    base: DualEncoder
    precision: Precision = "fp32"
    world: World = field(default_factory=World)
    folder: Path | None = None
    identity: str = ""
    callbacks: Callbacks = field(default_factory=Callbacks)
    strategy: Strategy | None = None
    text_form: TextForms = as_written

    def train(
        self, task: TrainingTask, captions: Mapping[str, Captions], stages: Sequence[Stage], steps: Sequence[int]
    ) -> FitResult:
        """Train a task's weights; what was done before a kill is not done again.

        Args:
            task: what trains.
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
        for number, (stage, count) in enumerate(zip(stages, steps, strict=True)):
            loader = self.loader(task, captions, stage, count, number, strategy)
            module = TaskModule(self.base, task, stage.objective, self.precision, strategy)
            strategy.on_stage_start(task, number)
            trainer = Trainer(
                module,
                loader,
                count,
                stage.train,
                precision=self.precision,
                world=self.world,
                checkpoint=self._checkpoint(task.name, number),
                identity=f"{self.identity}:{task.name}:{number}",
                log=self._logger(task.name, stage.name, sum(steps[:number]), sum(steps)),
                validation=self._validation(task, stage.train, loader.steps_per_epoch),
                stop=self.callbacks.stop,
            )
            results.append(trainer.fit(keep=number + 1 < len(stages)))
        strategy.on_task_end(task, module, self.last_pass(task, captions, stage, len(stages)))
        return replace(
            results[-1],
            steps=sum(result.steps for result in results),
            seconds=sum(result.seconds for result in results),
            decay=math.prod(result.decay for result in results),
            resumed_at=sum(result.resumed_at for result in results),
        )

    def loader(
        self,
        task: TrainingTask,
        captions: Mapping[str, Captions],
        stage: Stage,
        steps: int,
        number: int,
        strategy: Strategy | None = None,
    ) -> TaskDataLoader:
        """The data loader of a task's stage of this number."""
        return TaskDataLoader(
            task, captions, stage.train, steps, device=self.base.device, world=self.world, stage=number,
            target_texts=stage.objective.encodes_targets, strategy=strategy,
        )  # fmt: skip

    def last_pass(
        self, task: TrainingTask, captions: Mapping[str, Captions], stage: Stage, number: int
    ) -> Iterator[Sequence[Batch]]:
        """One more pass over the captions, in an order of its own and without dropout."""
        stage = replace(stage, train=stage.train.model_copy(update={"dropout": 0.0}))
        steps = self.loader(task, captions, stage, 0, number).steps_per_epoch
        loader = self.loader(task, captions, stage, steps, number)
        for step in range(steps):
            if self.callbacks.stop():
                raise KeyboardInterrupt
            yield loader(step)

    def remove_checkpoints(self, task: TrainingTask, stages: Sequence[Stage]) -> None:
        """Remove a task's checkpoints, once its pack is safe."""
        for number in range(len(stages)):
            if path := self._checkpoint(task.name, number):
                path.unlink(missing_ok=True)

    def _checkpoint(self, name: str, number: int) -> Path | None:
        return None if self.folder is None else self.folder / f"{name}.{number}.safetensors"

    def _logger(self, name: str, stage: str, before: int, total: int) -> Callable[[dict[str, Any]], None]:
        facts, log = {"task": name, "stage": stage} if stage else {"task": name}, self.callbacks.log
        return lambda numbers: log({**facts, **numbers, "step": before + numbers["step"], "total": total})

    def _validation(self, task: TrainingTask, settings: TrainSettings, steps_per_epoch: int) -> Validation | None:
        validate, every = self.callbacks.validate, settings.validation_steps(steps_per_epoch)
        if validate is None or not every:
            return None
        encoder = TaskEncoder(self.base, task, self.precision, self.text_form)
        return Validation(lambda: validate(encoder, task.languages), every, settings.patience, settings.select_ties)
