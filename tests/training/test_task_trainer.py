"""A task's stages as one: steps, validation on texts of other tokens, what a strategy is told, checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.training.callbacks import Callbacks
from glotclip.training.parallel import World
from glotclip.training.settings import TrainSettings
from glotclip.training.strategies.registry import strategy_for
from glotclip.training.strategies.strategy import Strategy
from glotclip.training.task_trainer import TaskEncoder, TaskTrainer

if TYPE_CHECKING:
    from tests.conftest import School

    from glotclip.methods.task import TrainingTask
    from glotclip.training.trainer import FitResult


def train(school: School, trainer: TaskTrainer, **settings: Any) -> tuple[TrainingTask, FitResult]:
    curriculum = school.curriculum(("de",), **settings)
    task = curriculum.prepare(school.base, None, ("de",), school.captions)
    captions = {"de": school.captions["de"]}
    return task, trainer.train(task, captions, curriculum.stages(), curriculum.steps(("de",), school.captions))


def test_stages_are_summed_and_the_last_one_tells_of_validation(school: School) -> None:
    scores = iter([1.0, 2.0, 5.0, 4.0])
    callbacks = Callbacks(validate=lambda encoder, codes: next(scores))
    trainer = TaskTrainer(school.base, callbacks=callbacks)
    settings: dict[str, Any] = {"stages": ["nlt", "le"], "steps": 8, "lr": 0.1, "weight_decay": 0.5}
    _, result = train(school, trainer, **settings, evaluate_every=2)
    assert result.steps == 8
    assert (result.best_step, result.best_score) == (2, 5.0)
    assert 0 < result.decay < 1


@pytest.mark.parametrize("isolation", ["shared", "per-language"])
def test_validation_may_have_tokens_that_no_caption_has(school: School, isolation: str) -> None:
    curriculum = school.curriculum(("de",), isolation=isolation)
    task = curriculum.prepare(school.base, None, ("de",), school.captions)
    texts = ["ein roter Kreis", "xylophon? ZÄH! 42"]
    assert set(task.tokenizer.encode(texts).flat.tolist()) - set(task.tokens["de"].flat.tolist())
    features = TaskEncoder(school.base, task).encode_text(texts, "de")
    state = task.finish(1.0)
    stored = school.base.encode_tokens(state.tokenizer.encode(texts), state.stack("de"))
    expected = torch.nn.functional.normalize(stored, dim=-1).numpy()
    assert np.allclose(features, expected, atol=1e-6)
    assert np.isfinite(features).all()


class Noted(Strategy):
    """Notes which of its hooks are called."""

    def __init__(self) -> None:
        super().__init__(TrainSettings())
        self.calls: list[Any] = []

    def on_stage_start(self, task: TrainingTask, stage: int) -> None:
        self.calls.append(("start", stage))

    def on_best(self) -> None:
        self.calls.append("best")

    def on_task_end(self, task: Any, module: Any, batches: Any) -> None:
        self.calls.append(("end", sum(len(batch.samples) for micro in batches for batch in micro)))


def test_a_strategy_is_told_of_stages_of_weights_that_are_kept_and_of_the_end(school: School) -> None:
    strategy, scores = Noted(), iter([1.0, 0.5, 0.5, 1.0])  # two validations a stage
    callbacks = Callbacks(validate=lambda encoder, codes: next(scores))
    trainer = TaskTrainer(school.base, callbacks=callbacks, strategy=strategy)
    train(school, trainer, stages=["nlt", "le"], steps=8, evaluate_every=2, batch_size=6)
    assert strategy.calls == [("start", 0), "best", ("start", 1), "best", "best", ("end", 6)]  # 11 have a target


def test_checkpoints_of_earlier_stages_stay_until_the_pack_is_safe(school: School, tmp_path: Path) -> None:
    trainer = TaskTrainer(school.base, folder=tmp_path)
    settings: dict[str, Any] = {"stages": ["nlt", "le"], "steps": 4, "checkpoint_seconds": 0}
    task, _ = train(school, trainer, **settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["de.0.safetensors", "de.1.safetensors"]
    trainer.remove_checkpoints(task, school.curriculum(("de",), **settings).stages())
    assert list(tmp_path.iterdir()) == []


def test_a_strategy_needs_one_process(school: School) -> None:
    strategy = strategy_for(TrainSettings(strategy="er"))
    with pytest.raises(ConfigError, match="works in one process, not in 2"):
        train(school, TaskTrainer(school.base, world=World(0, 2), strategy=strategy), isolation="shared")
