"""A task in stages: the same weights under one loss after another, as MLA's two (§2).

A recipe writes them as names, or as mappings that start from a name and say what differs:

    stages: [nlt, le]
    stages:
      - {stage: nlt, steps: 117150, lr: 1e-4}
      - {stage: le, steps: 11715, lr: 3e-6}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from glotclip.config import check_names, settings_from
from glotclip.data.view import View
from glotclip.errors import ConfigError
from glotclip.methods.objective import ObjectiveSettings
from glotclip.training.settings import StageSettings, TrainSettings

# What a stage's name stands for. A stage that no preset names is the settings' own objective.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "nlt": {"cross_lingual": 1.0, "cross_modal": 0.0},  # native language transfer: text alone
    "le": {"cross_lingual": 0.0, "cross_modal": 1.0, "temperature": 0.01, "learn_temperature": False},
    "joint": {},
}
_OF_LOOP = set(StageSettings.model_fields)
# Which texts are read is settled once for a run.
_OF_LOSS = set(ObjectiveSettings.model_fields) - {field.name for field in fields(View)}


@dataclass(frozen=True)
class Stage:
    """One stage of a task; ``share`` is its part of the task's steps among stages without steps of their own."""

    name: str
    objective: ObjectiveSettings
    train: TrainSettings
    share: float = 1.0


def stages_of(objective: ObjectiveSettings, train: TrainSettings) -> tuple[Stage, ...]:
    """The stages that settings describe; one that is the settings themselves, where they name none.

    Raises:
        ConfigError: for an unknown stage, or a setting that a stage cannot change.
    """
    own = ObjectiveSettings.model_validate(objective.model_dump(include=set(ObjectiveSettings.model_fields)))
    if not train.stages:
        return (Stage("", own, train),)
    return tuple(_stage(entry, own, train) for entry in train.stages)


def _stage(entry: str | Mapping[str, Any], objective: ObjectiveSettings, train: TrainSettings) -> Stage:
    values = {"stage": entry} if isinstance(entry, str) else dict(entry)
    name = str(values.pop("stage", "joint"))
    where = f"stage {name!r}"
    check_names([name], PRESETS, where="stages")
    share = values.pop("share", 1.0)
    if not isinstance(share, int | float) or share <= 0:
        raise ConfigError(f"share of {where} must be above 0, not {share!r}", hint="e.g. share: 2")
    check_names(values, _OF_LOOP | _OF_LOSS, where=where)
    losses = {**objective.model_dump(), **PRESETS[name], **{key: values[key] for key in values if key in _OF_LOSS}}
    loop = {key: values[key] for key in values if key in _OF_LOOP}
    return Stage(
        name,
        settings_from(ObjectiveSettings, losses, where=where),
        settings_from(TrainSettings, {**train.model_dump(), "stages": (), "steps": None, **loop}, where=where),
        float(share),
    )


def steps_of(stages: tuple[Stage, ...], train: TrainSettings, examples: int) -> tuple[int, ...]:
    """Optimiser steps of each stage for a task of so many captions.

    Stages with steps of their own take those; the others divide the task's steps by their shares.
    """
    total = train.total_steps(examples)
    if len(stages) == 1:
        return (stages[0].train.steps or total,)
    whole = sum(stage.share for stage in stages if stage.train.steps is None)
    return tuple(stage.train.steps or max(1, round(total * stage.share / whole)) for stage in stages)
