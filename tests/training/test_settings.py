"""Settings of training: schedules and steps by hand, and that a training takes those it uses and no others."""

from __future__ import annotations

import math
from typing import Any

import pytest

from glotclip.config import settings_from
from glotclip.errors import ConfigError
from glotclip.training.base import BaseSettings
from glotclip.training.finetune import FinetuneSettings
from glotclip.training.settings import TrainSettings


def settings(**values: Any) -> TrainSettings:
    return TrainSettings(**{"warmup": 0.0, **values})


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("cosine", [0.5, 1, *(0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(8))]),
    ],
)
def test_schedules(schedule: str, expected: list[float]) -> None:
    chosen = settings(schedule=schedule, warmup=0.2)
    assert [chosen.lr_factor(step, 10) for step in range(10)] == pytest.approx(expected)


def test_steps_of_a_task() -> None:
    assert settings(steps=7).total_steps(10_000) == 7
    assert settings(epochs=3, batch_size=128).total_steps(1000) == 21  # the partial eighth batch is dropped
    assert settings(epochs=3, batch_size=128).total_steps(5) == 3


@pytest.mark.parametrize("wrong", ["epochs", -1, 0.5, None])
def test_other_words_for_when_to_validate_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="evaluate_every"):
        settings_from(TrainSettings, {"evaluate_every": wrong}, where="a test")


IGNORED = (
    "accumulate",
    "evaluate_every",
    "patience",
    "select_by",
    "balance",
    "shots",
    "strategy",
    "memory",
    "stages",
)


@pytest.mark.parametrize("kind", [FinetuneSettings, BaseSettings])
@pytest.mark.parametrize("name", IGNORED)
def test_what_a_training_of_a_base_would_ignore_is_refused(kind: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown setting '{name}'") as refused:
        settings_from(kind, {name: 1}, where="a test")
    assert "known: " in refused.value.hint
    assert "batch_size" in refused.value.hint


def test_a_near_miss_is_guessed() -> None:
    with pytest.raises(ConfigError) as refused:
        settings_from(FinetuneSettings, {"dropuot": 0.1}, where="a test")
    assert "did you mean 'dropout'" in refused.value.hint


@pytest.mark.parametrize("kind", [TrainSettings, FinetuneSettings, BaseSettings])
def test_every_setting_is_described(kind: Any) -> None:
    assert [name for name, field in kind.model_fields.items() if not field.description] == []
