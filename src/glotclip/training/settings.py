"""Settings of training, in groups: a training accepts the groups that it uses, and nothing else.

Names stay flat for users (``--set lr=…``, a line of a recipe), whatever group a setting belongs to.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from glotclip.config import Settings

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Ties = Literal["first", "last"]


class OptimizerSettings(Settings):
    """AdamW and its learning-rate schedule. Defaults are CLL-CLIP's (§4.3)."""

    lr: float = Field(5e-5, gt=0, description="peak learning rate")
    schedule: Literal["constant", "cosine"] = Field("constant", description="after the warm-up")
    schedule_span: Literal["after-warmup", "run"] = Field(
        "after-warmup",
        description="cosine only: what its half period is laid over. 'after-warmup': it begins at the peak; 'run': "
        "over all steps, the warm-up's included, so the rate falls at their join (BertAdam, hence MLA)",
    )
    warmup: float = Field(0.1, ge=0, le=1, description="share of the steps with a linearly growing learning rate")
    warmup_from_zero: bool = Field(
        False,
        description="the warm-up's first step has rate 0, as the authors' schedulers have it; False: 1/its steps",
    )
    weight_decay: float = Field(0.05, ge=0, description="AdamW's decoupled decay; not for biases and scalars")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Adam's moment decays")
    eps: float = Field(1e-6, gt=0, description="Adam's ε; TEIR's gradient damping acts through it")
    adam_bias_correction: bool = Field(
        True, description="Adam's moments are corrected for starting at zero; False: BertAdam's, which are not (MLA)"
    )
    clip_norm: float = Field(1.0, ge=0, description="global gradient norm; 0 does not clip")
    clip_per_tensor: float = Field(
        0,
        ge=0,
        description="gradient norm of each weight tensor by itself, after clip_norm; 0 does not clip (MLA: 1)",
    )

    def lr_factor(self, step: int, total: int) -> float:
        """Learning-rate multiplier at ``step`` (from 0) of ``total``.

        With ``schedule_span="run"`` it is BertAdam's: with x = step / total, x / warmup below ``warmup``, then
        ½(1 + cos πx); the warm-up need not be a whole number of steps there.
        """
        whole = self.schedule_span == "run"
        warmup = self.warmup * total if whole else round(self.warmup * total)
        if step < warmup:
            return min(1.0, (step + (not self.warmup_from_zero)) / warmup)
        if self.schedule == "constant":
            return 1.0
        start = 0 if whole else warmup
        return 0.5 * (1 + math.cos(math.pi * (step - start) / max(1, total - start)))


class LoopSettings(OptimizerSettings):
    """How long the loop runs, and on what batches."""

    steps: int | None = Field(
        None, ge=0, description="optimiser steps per task; overrides epochs; 0: the start is all that is kept"
    )
    epochs: float = Field(3, gt=0, description="passes over the task's captions, where steps is not given")
    batch_size: int = Field(128, ge=2, description="captions per optimiser step, over all processes")

    def total_steps(self, examples: int) -> int:
        """Steps for a task of so many captions; the last partial batch of an epoch is dropped."""
        if self.steps is not None:
            return self.steps
        return max(1, round(self.epochs * max(1, examples // self.batch_size)))


class TrainerSettings(LoopSettings):
    """What every training has: the loop, and what holds for all of a run."""

    precision: Precision = Field("auto", description="'auto': bf16 where the hardware has it, else fp32")
    seed: int = Field(0, ge=0, description="fixes initialisation and data order")
    checkpoint_seconds: float = Field(60, ge=0, description="how often the run can be resumed from; 0: every step")


class DropoutSettings(Settings):
    """Dropout in the text tower while it trains."""

    dropout: float = Field(
        0, ge=0, lt=1, description="share of what each half of a text block adds that is dropped (PECT's base: 0.1)"
    )


class ValidationSettings(Settings):
    """When a task is validated, and when it stops early."""

    evaluate_every: Annotated[int, Field(ge=0)] | Literal["epoch"] = Field(
        0, description="steps between validations, or 'epoch': after each pass over the captions; 0: none"
    )
    patience: int = Field(0, ge=0, description="stop after so many validations without improvement; 0: never")

    def validation_steps(self, steps_per_epoch: int) -> int:
        """Steps between validations, where an epoch has so many; 0 for none."""
        return max(1, steps_per_epoch) if isinstance(self.evaluate_every, str) else self.evaluate_every


class SelectionSettings(Settings):
    """Which validation's weights are kept."""

    select_by: Literal["mean_recall", "mean_r1"] = Field(
        "mean_recall",
        description="what a validation scores, over both directions: 'mean_recall', the mean of R@1, R@5 and R@10 "
        "(CLL-CLIP, MLA); 'mean_r1', of R@1 alone (PECT)",
    )
    select_ties: Ties = Field(
        "first", description="which of equally good validations the weights are kept of; PECT: the last"
    )


class DataSettings(Settings):
    """Which captions are trained on, and how languages that learn together are mixed."""

    balance: float | None = Field(
        None,
        ge=0,
        description="where languages learn together, draw one a step with probability ∝ captions^balance (0: all "
        "alike, 1: by size); none: mixed in every batch where they share all weights, else all alike",
    )
    shots: int | None = Field(None, ge=1, description="train on so many images only, the same in every language")
    shots_seed: int = Field(42, ge=0, description="fixes which images the shots are")
    train_share: float | None = Field(
        None,
        gt=0,
        le=0.8,
        description="of a mere test set, the share of the images to train on, beside a tenth to validate; the scores "
        "are of the rest. Without it a tenth is trained on where shots are asked for, else nothing",
    )


class ContinualSettings(Settings):
    """What is done against forgetting earlier tasks."""

    strategy: Literal["none", "er", "der", "oewc"] = Field(
        "none",
        description="isolation=shared only: what is done against forgetting. 'er': earlier captions are seen again, "
        "held to their English features; 'der': held to what the student made of them; 'oewc': weights that earlier "
        "tasks depend on are held by a penalty",
    )
    memory: int = Field(8_000, ge=1, description="er, der: captions kept, over all tasks")
    memory_batch: int | None = Field(
        None, ge=1, description="er, der: captions from the memory a step, beside the batch; none: as many as that"
    )
    der_features: Literal["inserted", "learnt"] = Field(
        "inserted",
        description="der: which features of its own the student is held to: 'inserted', those of the step in which a "
        "caption came by (the paper); 'learnt', those at the end of its task, which few steps change much",
    )
    ewc_weight: float = Field(1000.0, ge=0, description="oewc: weight of the penalty")


class StageSettings(LoopSettings, DropoutSettings, ValidationSettings):
    """What each stage of a task may have of its own."""

    accumulate: int = Field(1, ge=1, description="split each batch into so many parts; negatives stay within a part")


class TrainSettings(StageSettings, TrainerSettings, SelectionSettings, DataSettings, ContinualSettings):
    """Everything that decides how languages are taught, apart from the method."""

    stages: tuple[str | dict[str, Any], ...] = Field(
        (), description="losses one after another, e.g. nlt,le (glotclip.training.stages); none: all losses at once"
    )

    @field_validator("stages", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Accept ``nlt,le`` from the command line."""
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value
