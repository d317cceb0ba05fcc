"""What is learnt, how, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glotclip.errors import ConfigError
from glotclip.methods.method import Method
from glotclip.methods.objective import MethodSettings
from glotclip.methods.stack import PackState
from glotclip.methods.task import TrainingTask
from glotclip.models.device import Precision
from glotclip.models.dual_encoder import DualEncoder
from glotclip.textforms import NONE, TextForm, folds_any, form_for
from glotclip.training.captions import Captions
from glotclip.training.settings import TrainSettings
from glotclip.training.stages import Stage, stages_of, steps_of
from glotclip.training.strategies.registry import strategy_for
from glotclip.training.strategies.strategy import Strategy

SHARED = "shared"  # the name of the pack that all tasks extend where weights are shared


@dataclass(frozen=True)
class Curriculum:
    """What is learnt, how, and in which order: tasks of one or several languages."""

    method: Method
    method_settings: MethodSettings
    train: TrainSettings
    tasks: tuple[tuple[str, ...], ...]
    precision: Precision = "fp32"
    continue_learning: bool = False  # languages that are installed go on learning; the others start as ever

    def __post_init__(self) -> None:
        strategy_for(self.train).check(self.stages())  # a recipe's mistakes are told before anything is done
        if self.train.strategy != "none" and not self.shared:
            raise ConfigError(
                f"strategy={self.train.strategy} is against forgetting, which isolation=per-language rules out: "
                "no language changes a weight of another",
                hint="use --set isolation=shared, or strategy=none",
            )
        if not self.shared and any(len(task) > 1 for task in self.tasks):
            raise ConfigError(
                "languages learnt jointly share their weights, which isolation=per-language forbids",
                hint="use --set isolation=shared, or learn the languages one after another",
            )

        if self.method_settings.fold != "none" and not folds_any(self.method_settings.fold, self.languages):
            raise ConfigError(
                f"fold={self.method_settings.fold} concerns none of {', '.join(self.languages)}",
                hint="leave it out: simplified is for Chinese, latin for Serbian, Uzbek, Azerbaijani and Turkmen",
            )

    @property
    def shared(self) -> bool:
        """Whether all tasks extend one pack."""
        return self.method_settings.isolation == "shared"

    @property
    def builds_on_packs(self) -> bool:
        """Whether a task goes on from the pack of an earlier one, and can change what that pack's languages use."""
        return self.shared or self.continue_learning

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages of all tasks, in order."""
        return tuple(code for task in self.tasks for code in task)

    def stages(self) -> tuple[Stage, ...]:
        """The losses, one after another."""
        return stages_of(self.method_settings, self.train)

    def steps(self, task: Sequence[str], captions: Mapping[str, Captions]) -> tuple[int, ...]:
        """Optimiser steps of each stage of a task."""
        return steps_of(self.stages(), self.train, self.examples(task, captions))

    def seen(self, examples: int) -> int:
        """How many captions a task of so many sees at most, in all its steps."""
        stages = self.stages()
        steps = steps_of(stages, self.train, examples)
        return sum(count * stage.train.batch_size for stage, count in zip(stages, steps, strict=True))

    def pack_name(self, task: Sequence[str]) -> str:
        """The pack that a task writes."""
        return SHARED if self.shared else task[0]

    def text_form(self, code: str, base: DualEncoder) -> TextForm:
        """The form in which captions of a language are learnt, and queries asked."""
        settings = self.method_settings
        if code in base.languages and settings.text_form != NONE:
            return base.text_form
        if settings.text == "to-english":
            return form_for(code, settings.text_form, english=True)
        return form_for(code, settings.text_form, settings.fold)

    def settings(self) -> dict[str, Any]:
        """The resolved settings, for the record."""
        return {**self.method_settings.model_dump(mode="json"), **self.train.model_dump(mode="json")}

    def sources(self) -> dict[str, str]:
        """Fingerprints of what the settings name and the tasks read, by name."""
        modules = self.method.modules(self.method_settings)
        return {name: value for each in modules for name, value in each.sources(self.method_settings).items()}

    def prepare(
        self,
        base: DualEncoder,
        state: PackState | None,
        task: Sequence[str],
        captions: Mapping[str, Captions],
        strategy: Strategy | None = None,
    ) -> TrainingTask:
        """Prepare one task on top of ``state``, with room for what a strategy brings from earlier tasks."""
        strategy = strategy or Strategy(self.train)
        texts = {code: captions[code].texts for code in task}
        target_texts = {
            code: [text or "" for text in captions[code].target_texts] for code in task if captions[code].target_texts
        }
        made = TrainingTask(
            base, state, texts, target_texts, strategy.replay_texts(), strategy.anchored_rows(),
            seed=self.train.seed, covers_base=self.shared and self.method_settings.covers_base,
            target_features={code: captions[code].target_features for code in task},
            english_texts={code: captions[code].english for code in task if captions[code].english},
        )  # fmt: skip
        return made.prepare(self.method.modules(self.method_settings), self.method_settings)

    def examples(self, task: Sequence[str], captions: Mapping[str, Captions]) -> int:
        """How many captions a task has."""
        return sum(len(captions[code]) for code in task)
