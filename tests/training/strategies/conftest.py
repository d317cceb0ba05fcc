"""Tasks in a row on the tiny base, without a folder; and how far each language is from its targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import School

    from glotclip.methods.stack import PackState
    from glotclip.methods.task import TrainingTask
    from glotclip.training.strategies.strategy import Strategy

SHARED: Mapping[str, Any] = {
    "isolation": "shared", "teir": False, "memory": 16, "memory_batch": 6, "steps": 10, "vocabulary": 0,
}  # fmt: skip


@dataclass
class Course:
    """Tasks that were taught one after another.

    Attributes:
        strategy: with what it remembers after the last.
        tasks: trained.
        states: the pack after each task.
        lines: every step's numbers.
    """

    strategy: Strategy
    tasks: list[TrainingTask]
    states: list[PackState]
    lines: list[dict[str, Any]]


@pytest.fixture(scope="session")
def course(school: School) -> Callable[..., Course]:
    """The function that teaches tasks in a row; settings are those of the loop and of the lexicon."""

    def teach(*codes: str, validate: Any = None, **settings: Any) -> Course:
        from glotclip.training.callbacks import Callbacks
        from glotclip.training.strategies.registry import strategy_for
        from glotclip.training.task_trainer import TaskTrainer

        curriculum = school.curriculum(*((code,) for code in codes), **{**SHARED, **settings})
        made = Course(strategy_for(curriculum.train), [], [], [])
        callbacks = Callbacks(log=made.lines.append, validate=validate)
        trainer = TaskTrainer(school.base, "fp32", callbacks=callbacks, strategy=made.strategy)
        for task in curriculum.tasks:
            state = made.states[-1] if made.states else None
            prepared = curriculum.prepare(school.base, state, task, school.captions, made.strategy)
            steps = curriculum.steps(task, school.captions)
            captions = {code: school.captions[code] for code in task}
            result = trainer.train(prepared, captions, curriculum.stages(), steps)
            made.tasks.append(prepared)
            made.states.append(prepared.finish(result.decay))
        return made

    return teach


@pytest.fixture(scope="session")
def distance(school: School) -> Callable[[PackState, str], float]:
    """Mean squared distance of a language's captions from their English features, under a pack."""

    def measure(state: PackState, code: str) -> float:
        import numpy as np

        captions = school.captions[code]
        features = school.base.encode_tokens(state.tokenizer.encode(captions.texts), state.stack(code)).numpy()
        rows = captions.target_features.rows
        held = rows >= 0
        return float(np.square(features[held] - captions.target_features.array[rows[held]]).mean())

    return measure
