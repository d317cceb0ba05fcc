"""The loop. There is one: languages, bases and every method train here.

It knows nothing of methods. A *learner* encodes a batch and turns the features of the whole global batch into
a loss; a *source* gives the batch of a step as a pure function of the step's number. So a run that is killed
and resumed sees the same batches and ends in the same weights, without any random state to restore.

Shapes: B batch, E embedding.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from glotclip.errors import ConfigError, InterruptedRunError
from glotclip.methods.module import ParameterGroup
from glotclip.methods.objective import Targets
from glotclip.threads import held_at
from glotclip.training import checkpoint
from glotclip.training.dropout import Noise
from glotclip.training.optim import Optimizer
from glotclip.training.parallel import World, any_of, average_gradients, gather
from glotclip.training.settings import TrainSettings

_OWN = "learner."  # what a learner keeps, among a checkpoint's tensors
GROWTH_INTERVAL = 2000  # fp16: steps without overflow before the loss scale doubles


@dataclass(frozen=True)
class Piece:
    """Texts of one language: token ids (B, T), lengths (B,), and where they are encoded as well, their targets'."""

    ids: torch.Tensor
    lengths: torch.Tensor
    language: str
    target: tuple[torch.Tensor, torch.Tensor] | None = None


@dataclass(frozen=True)
class Batch:
    """One process's share of a step: texts, one piece a language, what their rows are pulled towards, and dropout."""

    pieces: tuple[Piece, ...]
    targets: Targets
    noise: Noise | None = field(default=None, kw_only=True)


class Encoded(NamedTuple):
    """Raw features (B, E) of a batch's rows, with gradients; ``target`` where the learner encodes those too."""

    features: torch.Tensor
    target: torch.Tensor | None = None


class Learner(ABC):
    """What the loop trains."""

    @abstractmethod
    def groups(self) -> Sequence[ParameterGroup]:
        """Every weight that trains, the objective's own included."""

    @abstractmethod
    def encode(self, batch: Batch) -> Encoded:
        """Encode this process's share."""

    @abstractmethod
    def objective(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss, and its parts to be logged, from the features (B, E) of the global batch."""

    def stepped(self, batches: Sequence[Batch], features: Sequence[torch.Tensor]) -> None:
        """Look at a step that was taken: its micro-batches, and their features before it, without gradients."""
        return

    def state(self) -> dict[str, torch.Tensor]:
        """What must survive a kill besides the weights."""
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Put back what :meth:`state` gave."""
        return


Source = Callable[[int], Sequence[Batch]]  # step → micro-batches of this process
Log = Callable[[dict[str, Any]], None]


@dataclass
class FitResult:
    """What a run did.

    Attributes:
        steps: taken, by this process and those before it.
        seconds: of this process's life spent in it.
        decay: Π(1 − η·weight decay) over the steps that made the final weights.
        resumed_at: the step of the checkpoint it went on from, 0 without one.
        best_step, best_score: of the validations, if there were any; the final weights are those of that step.
        last: the values logged last.
    """

    steps: int
    seconds: float
    decay: float
    resumed_at: int = 0
    best_step: int | None = None
    best_score: float | None = None
    last: dict[str, float] = field(default_factory=dict)


@dataclass
class _Progress:
    """What must survive a kill besides the optimiser."""

    step: int = 0
    scale: float = 1.0
    clean_steps: int = 0
    best_score: float | None = None
    best_step: int | None = None
    best_decay: float = 1.0
    stale: int = 0
    finished: bool = False
    threads: int = 0  # sums are split by threads, which changes their last bits

    def saw(self, score: float, step: int, settings: TrainSettings) -> bool:
        """Note a validation score; true if its weights are to be kept. A tie is no improvement to patience."""
        improved = self.best_score is None or score > self.best_score
        self.stale = 0 if improved else self.stale + 1
        kept = settings.keeps(score, self.best_score)
        if kept:
            self.best_score, self.best_step = score, step
        return kept


@held_at(None)  # a run that goes on takes as many threads as it began with; afterwards they are as before
def fit(
    learner: Learner,
    source: Source,
    total: int,
    settings: TrainSettings,
    *,
    precision: str = "fp32",
    world: World | None = None,
    resume_from: Path | None = None,
    identity: str = "",
    log: Log | None = None,
    validate: Callable[[], float] | None = None,
    stop: Callable[[], bool] = lambda: False,
    keep: bool = False,
    steps_per_epoch: int | None = None,
) -> FitResult:
    """Train for ``total`` steps, going on from ``resume_from`` if that checkpoint exists.

    Args:
        learner: what trains.
        source: batches by step.
        total: optimiser steps.
        settings: optimiser, schedule, checkpoints, validation.
        precision: what the learner computes in; "fp16" switches loss scaling on.
        world: the processes that train together.
        resume_from: the checkpoint file, written by the leading process every ``checkpoint_seconds``.
        identity: of learner, data and settings; a checkpoint of another identity is refused.
        log: called after every step with its numbers.
        validate: a score, higher is better, called as ``evaluate_every`` says; the best weights are kept, of equally
            good ones those that ``select_ties`` says.
        stop: asked after every step; once true, the state is saved and KeyboardInterrupt raised.
        keep: save the state at the end too, so that the same call then returns at once with the same weights.
        steps_per_epoch: for ``evaluate_every="epoch"``; None: the run is one epoch.

    Raises:
        ConfigError: if the loss stops being finite.
        InterruptedRunError: if the checkpoint belongs to another run.
    """
    world = world or World()
    start = time.monotonic()
    optimizer = Optimizer(learner.groups(), settings)
    progress = _Progress(scale=2.0**16 if precision == "fp16" else 1.0, threads=torch.get_num_threads())
    best: dict[str, torch.Tensor] = {}
    if resume_from is not None and (stored := checkpoint.load(resume_from)):
        best = _resume(stored, learner, optimizer, progress, identity, resume_from)
        torch.set_num_threads(progress.threads)
    resumed_at, saved_at, last = progress.step, time.monotonic(), dict[str, float]()
    every = settings.validation_steps(steps_per_epoch or total)
    while progress.step < total and not progress.finished:
        last = _step(learner, source, optimizer, progress, settings, total, precision, world)
        if log is not None:
            log({"step": progress.step, "total": total, **last})
        if validate and every and progress.step % every == 0:
            if progress.saw(validate(), progress.step, settings):
                progress.best_decay = optimizer.decay
                best = {f"best.{i}": p.detach().clone() for i, p in enumerate(optimizer.parameters)}
            if settings.patience and progress.stale >= settings.patience:
                progress.finished = True
        stopping = any_of(stop(), world)
        due = stopping or time.monotonic() - saved_at >= settings.checkpoint_seconds
        if resume_from is not None and world.leads and due and progress.step < total:
            _save(resume_from, learner, optimizer, progress, best, identity)
            saved_at = time.monotonic()
        if stopping and progress.step < total:
            raise KeyboardInterrupt
    if keep and resume_from is not None and world.leads and progress.step > resumed_at:
        progress.finished = True
        _save(resume_from, learner, optimizer, progress, best, identity)
    for i, parameter in enumerate(optimizer.parameters if best else ()):
        with torch.no_grad():
            parameter.copy_(best[f"best.{i}"])
    seconds = time.monotonic() - start
    return FitResult(
        progress.step,
        seconds,
        progress.best_decay if best else optimizer.decay,
        resumed_at,
        progress.best_step,
        progress.best_score,
        last,
    )


def _save(
    path: Path,
    learner: Learner,
    optimizer: Optimizer,
    progress: _Progress,
    best: dict[str, torch.Tensor],
    identity: str,
) -> None:
    own = {f"{_OWN}{name}": tensor for name, tensor in learner.state().items()}
    checkpoint.save(path, {**optimizer.state(), **best, **own}, {**vars(progress), "identity": identity})


def _resume(
    stored: tuple[dict[str, torch.Tensor], dict[str, Any]],
    learner: Learner,
    optimizer: Optimizer,
    progress: _Progress,
    identity: str,
    path: Path,
) -> dict[str, torch.Tensor]:
    """Put a checkpoint back into optimiser and progress; return the best weights it holds."""
    tensors, facts = stored
    if facts.pop("identity", "") != identity:
        raise InterruptedRunError(
            f"{path} belongs to a run with other settings or data",
            hint="repeat that run's command to finish it, or delete the file to start anew",
        )
    optimizer.restore({name: tensor for name, tensor in tensors.items() if not name.startswith(("best.", _OWN))})
    learner.restore({name.removeprefix(_OWN): tensor for name, tensor in tensors.items() if name.startswith(_OWN)})
    for name, value in facts.items():
        setattr(progress, name, value)
    return {name: tensor for name, tensor in tensors.items() if name.startswith("best.")}


def _step(
    learner: Learner,
    source: Source,
    optimizer: Optimizer,
    progress: _Progress,
    settings: TrainSettings,
    total: int,
    precision: str,
    world: World,
) -> dict[str, float]:
    """One optimiser step: micro-batches, gathering, averaging, update. Returns its numbers."""
    batches = source(progress.step)
    losses: list[torch.Tensor] = []
    parts: dict[str, torch.Tensor] = {}
    seen: list[torch.Tensor] = []
    for batch in batches:
        encoded = learner.encode(batch)
        features = gather(encoded.features.float(), world)
        targets = _gather_targets(batch.targets, world)
        if encoded.target is not None:
            targets = replace(targets, target_features=gather(encoded.target.float(), world))
        loss, parts = learner.objective(features, targets)
        seen.append(encoded.features.detach())
        (loss * (progress.scale / len(batches))).backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
    if progress.scale != 1.0:
        for parameter in optimizer.parameters:
            if parameter.grad is not None:
                parameter.grad /= progress.scale
    average_gradients(optimizer.parameters, world)
    factor = settings.lr_factor(progress.step, total)
    norm = optimizer.step(factor)
    progress.step += 1
    learner.stepped(batches, seen)
    loss_value = float(torch.stack(losses).mean())
    if precision == "fp16" and not math.isfinite(norm) and progress.scale > 1.0:
        progress.scale, progress.clean_steps = progress.scale / 2, 0  # at scale 1 it is no overflow of the scaling
    elif not (math.isfinite(norm) and math.isfinite(loss_value)):
        raise ConfigError(
            f"the loss is no longer finite at step {progress.step} (loss {loss_value}, gradient norm {norm})",
            hint="lower the learning rate (--set lr=…) or use --set precision=fp32",
        )
    elif precision == "fp16":
        progress.clean_steps += 1
        if progress.clean_steps % GROWTH_INTERVAL == 0:
            progress.scale *= 2
    numbers = {name: float(value) for name, value in parts.items()}
    return {"loss": loss_value, **numbers, "lr": settings.lr * factor, "gradient_norm": norm}


def _gather_targets(targets: Targets, world: World) -> Targets:
    if world.size == 1:
        return targets
    present = {name: gather(value, world) for name, value in vars(targets).items() if value is not None}
    return replace(targets, **present)
