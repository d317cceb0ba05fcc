"""Stages: what a recipe's words become, and that a lesson goes through them, killed or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.methods.objective import ObjectiveSettings
from glotclip.training.callbacks import Callbacks
from glotclip.training.settings import TrainSettings
from glotclip.training.stages import stages_of, steps_of
from glotclip.training.task_trainer import TaskTrainer

if TYPE_CHECKING:
    from tests.conftest import School


def test_the_names_are_mlas_two_stages() -> None:
    transfer, exposure = stages_of(ObjectiveSettings(), TrainSettings(stages="nlt, le"))
    assert (transfer.name, transfer.objective.cross_lingual, transfer.objective.cross_modal) == ("nlt", 1.0, 0.0)
    assert not transfer.objective.wants_images
    assert (exposure.objective.cross_lingual, exposure.objective.cross_modal) == (0.0, 1.0)
    assert (exposure.objective.temperature, exposure.objective.learn_temperature) == (0.01, False)


def test_without_stages_there_is_one_with_the_settings_themselves() -> None:
    objective, train = ObjectiveSettings(cross_modal=0.3), TrainSettings(steps=7)
    (only,) = stages_of(objective, train)
    assert only.objective == objective
    assert steps_of((only,), train, 1000) == (7,)


def test_a_stage_changes_what_it_names_and_nothing_else() -> None:
    train = TrainSettings(
        lr=1e-3, batch_size=64, stages=({"stage": "le", "lr": 3e-6, "steps": 5, "temperature": 0.1},)
    )
    (stage,) = stages_of(ObjectiveSettings(), train)
    assert (stage.train.lr, stage.train.batch_size, stage.train.steps) == (3e-6, 64, 5)
    assert stage.objective.temperature == 0.1


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (["nlt", "le"], (30, 30)),
        ([{"stage": "nlt", "share": 2}, "le"], (40, 20)),
        ([{"stage": "nlt", "steps": 7}, "le"], (7, 60)),
    ],
)
def test_stages_share_the_steps(stages: list[Any], expected: tuple[int, ...]) -> None:
    train = TrainSettings(steps=60, stages=tuple(stages))
    assert steps_of(stages_of(ObjectiveSettings(), train), train, 10_000) == expected


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("ntl", "did you mean 'nlt'"),
        ({"stage": "le", "seed": 3}, "unknown setting"),
        ({"stage": "le", "target_text": "from-english"}, "unknown setting"),
        ({"memory": 3}, "unknown setting"),
        ({"select_ties": "last"}, "unknown setting"),
        ({"lr": 0}, "greater than 0"),
        ({"share": 0}, "above 0"),
    ],
)
def test_mistakes_are_named(entry: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stages_of(ObjectiveSettings(), TrainSettings(stages=(entry,)))
    assert said in f"{caught.value.message} {caught.value.hint}"


def trained(school: School, trainer: TaskTrainer) -> torch.Tensor:
    curriculum = school.curriculum(("de",), steps=8, stages=["nlt", "le"], checkpoint_seconds=0)
    task = curriculum.prepare(school.base, None, ("de",), school.captions)
    steps = curriculum.steps(("de",), school.captions)
    assert steps == (4, 4)
    trainer.train(task, school.captions, curriculum.stages(), steps)
    return task.groups[0].parameters[0].detach().clone()


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", [2, 4, 6])
def test_a_kill_in_either_stage_changes_no_bit(school: School, tmp_path: Path, killed_after: int) -> None:
    whole = trained(school, TaskTrainer(school.base))
    lines: list[dict[str, Any]] = []
    trainer = TaskTrainer(
        school.base, folder=tmp_path, callbacks=Callbacks(log=lines.append, stop=lambda: len(lines) >= killed_after)
    )
    with pytest.raises(KeyboardInterrupt):
        trained(school, trainer)
    resumed = trained(school, replace(trainer, callbacks=Callbacks(log=lines.append)))
    assert torch.equal(resumed, whole)
    assert [line["stage"] for line in lines] == ["nlt"] * 4 + ["le"] * 4
    assert [line["step"] for line in lines] == list(range(1, 9))


def test_the_first_stage_opens_no_image_and_the_second_compares_with_them_alone(school: School) -> None:
    lines: list[dict[str, Any]] = []
    trained(school, TaskTrainer(school.base, callbacks=Callbacks(log=lines.append)))
    assert [("cross_lingual" in line, "cross_modal" in line) for line in lines] == [(True, False)] * 4 + [
        (False, True)
    ] * 4
