"""What a run would cost, measured on a few of its steps, and how well the tokenizer fits each language.

Nothing is written. Every task is prepared as the run would prepare it, on top of the tasks before it; then a
few real optimiser steps of it are taken and thrown away with everything they changed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import regex  # type: ignore[import-untyped]
import torch

from glotclip.methods.stack import PackState
from glotclip.methods.task import TrainingTask
from glotclip.models.device import Precision
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.tokenizer import ClipTokenizer, Tokenizer
from glotclip.models.tokens import Tokens
from glotclip.packs.polyglot import Polyglot
from glotclip.training.callbacks import Callbacks
from glotclip.training.captions import Captions
from glotclip.training.curriculum import SHARED, Curriculum
from glotclip.training.stages import Stage
from glotclip.training.task_trainer import TaskTrainer

_WARM_UP, _TIMED = 2, 6  # optimiser steps; the first ones pay for caches and allocations
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")


@dataclass(frozen=True)
class TokenizerHealth:
    """How well a tokenizer fits the captions of a language.

    Attributes:
        tokens_per_word: tokens without the special ones, for each unbroken run of letters, marks and digits.
            Where a script writes no spaces such a run is a phrase: compare before and after, not languages.
        truncated: share of captions that do not fit into the context and lose their end.
        byte_fallback: share of tokens that are single bytes of a letter; None where the tokenizer has no bytes.
    """

    tokens_per_word: float
    truncated: float
    byte_fallback: float | None


@dataclass(frozen=True)
class TaskEstimate:
    """What one task would cost.

    Attributes:
        languages: learnt in it.
        captions: training captions.
        steps: optimiser steps.
        trainable: weights that train.
        facts: what the method says about its weights, such as new tokens.
        seconds: preparing and training, extrapolated from timed steps; evaluation comes on top.
        peak_bytes: the process's peak memory so far, this task's steps included; on a GPU, that of the GPU.
        before, after: the tokenizer's fit by language, without and with the vocabulary learnt.
    """

    languages: tuple[str, ...]
    captions: int
    steps: int
    trainable: int
    facts: Mapping[str, int | float]
    seconds: float
    peak_bytes: int | None
    before: Mapping[str, TokenizerHealth]
    after: Mapping[str, TokenizerHealth]

    def to_json(self) -> dict[str, Any]:
        """Return plain mappings and numbers."""
        return {**asdict(self), "languages": list(self.languages)}


def estimate(start: Polyglot, curriculum: Curriculum, captions: Mapping[str, Captions]) -> list[TaskEstimate]:
    """Measure what every task of a curriculum would cost.

    Args:
        start: the polyglot the run would start from.
        curriculum: what would be learnt.
        captions: training captions of every language of the curriculum.
    """
    base = start.base
    pack = start.packs.get(SHARED)
    state: PackState | None = pack.state if pack is not None and curriculum.shared else None
    estimates = []
    for task in curriculum.tasks:
        began = time.monotonic()
        prepared = curriculum.prepare(base, state, task, captions)
        preparing = time.monotonic() - began
        if curriculum.shared:
            state = prepared.finish(1.0)  # what the next task builds on; before the steps that are thrown away
        examples = curriculum.examples(task, captions)
        steps = curriculum.steps(task, captions)
        own = {code: captions[code] for code in task}
        seconds = [
            count * _seconds_per_step(base, prepared, own, stage, curriculum.precision)
            for stage, count in zip(curriculum.stages(), steps, strict=True)
        ]
        estimates.append(
            TaskEstimate(
                languages=task,
                captions=examples,
                steps=sum(steps),
                trainable=prepared.trainable,
                facts=dict(prepared.facts),
                seconds=preparing + sum(seconds),
                peak_bytes=peak_memory(base.device),
                before={code: tokenizer_health(base.tokenizer, captions[code].texts) for code in task},
                after={code: tokenizer_health(prepared.tokenizer, captions[code].texts) for code in task},
            )
        )
    return estimates


def tokenizer_health(tokenizer: Tokenizer, texts: Sequence[str]) -> TokenizerHealth:
    """Measure how well a tokenizer fits texts; see :class:`TokenizerHealth`."""
    tokens = tokenizer.encode(texts)
    words = sum(len(_WORD.findall(text)) for text in texts)
    return TokenizerHealth(
        tokens_per_word=_pieces(tokenizer, tokens) / max(words, 1),
        truncated=len(tokens.truncated) / max(len(texts), 1),
        byte_fallback=tokenizer.byte_fallback(tokens) if isinstance(tokenizer, ClipTokenizer) else None,
    )


def peak_memory(device: torch.device) -> int | None:
    """Peak bytes this process has held so far: GPU memory on a GPU, else resident memory; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows has no such figure in the standard library
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # macOS counts bytes, Linux kibibytes


def _pieces(tokenizer: Tokenizer, tokens: Tokens) -> int:
    return int((~np.isin(tokens.flat, list(tokenizer.special_ids))).sum())


def _seconds_per_step(
    base: DualEncoder, task: TrainingTask, captions: Mapping[str, Captions], stage: Stage, precision: Precision
) -> float:
    """Take a few optimiser steps of a task's stage and return the median time of those after the warm-up."""
    settings, taken = stage.train.model_copy(update={"evaluate_every": 0}), _WARM_UP + _TIMED
    clock = [time.monotonic()]
    # The logged loss was read when the log is called: the device is done.
    callbacks = Callbacks(log=lambda numbers: clock.append(time.monotonic()))
    TaskTrainer(base, precision, callbacks=callbacks).train(task, captions, [replace(stage, train=settings)], [taken])
    return float(np.median(np.diff(clock)[_WARM_UP:]))
