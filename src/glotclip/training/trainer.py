"""The training loop. There is one: languages, bases and every method train here.

It knows nothing of methods. A :class:`~glotclip.training.module.TrainingModule` encodes a batch and turns features
into a loss; the data loader gives the batch of a step as a pure function of the step's number. So a run that is
killed and resumed sees the same batches and ends in the same weights, without any random state to restore.

Shapes: B batch, E embedding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from glotclip.errors import ConfigError, InterruptedRunError
from glotclip.methods.objective import Targets
from glotclip.threads import held_at
from glotclip.training import checkpoint
from glotclip.training.module import DataLoader, TrainingModule
from glotclip.training.optim import Optimizer
from glotclip.training.parallel import World, any_of, average_gradients, gather
from glotclip.training.settings import Ties, TrainerSettings

_MODULE, _BEST = "module.", "best."  # whose tensors they are, in a checkpoint


@dataclass(frozen=True)
class Validation:
    """When weights are scored, and which are kept.

    Attributes:
        score: of the weights as they are, higher is better.
        every: steps between validations.
        patience: validations without improvement after which training ends; 0: it does not.
        ties: which of equally good validations counts.
    """

    score: Callable[[], float]
    every: int
    patience: int = 0
    ties: Ties = "first"


@dataclass
class FitResult:
    """What a training did.

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
class _State:
    """Where a training stands, apart from tensors."""

    step: int = 0
    best_score: float | None = None
    best_step: int | None = None
    best_decay: float = 1.0
    stale: int = 0  # validations without improvement
    finished: bool = False
    threads: int = field(default_factory=torch.get_num_threads)  # they split sums, which changes their last bits


class Trainer:
    """Trains a module.

    Args:
        module: what trains.
        loader: batches by step.
        total: optimiser steps.
        settings: optimiser, schedule, checkpoints.
        precision: what the module computes in; "fp16" switches loss scaling on.
        world: the processes that train together.
        checkpoint: the file to resume from if it exists, written by the leading process every ``checkpoint_seconds``.
        identity: of module, data and settings; a checkpoint of another identity is refused.
        log: called after every step with its numbers.
        validation: scores the weights now and then; the best are kept.
        stop: asked after every step; once true, the state is saved and KeyboardInterrupt raised.
    """

    def __init__(
        self,
        module: TrainingModule,
        loader: DataLoader,
        total: int,
        settings: TrainerSettings,
        *,
        precision: str = "fp32",
        world: World | None = None,
        checkpoint: Path | None = None,
        identity: str = "",
        log: Callable[[dict[str, Any]], None] = lambda numbers: None,
        validation: Validation | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.module, self.loader, self.total, self.settings = module, loader, total, settings
        self.world = world or World()
        self.checkpoint, self.identity = checkpoint, identity
        self.log, self.validation, self.stop = log, validation, stop
        self.optimizer = Optimizer(module.groups(), settings)
        # Its defaults are ours: it starts at 2^16, halves on overflow, doubles after 2,000 steps without.
        self.scaler = torch.amp.GradScaler(self.optimizer.device.type, enabled=precision == "fp16")
        self.state, self.best = _State(), dict[str, torch.Tensor]()

    @held_at(None)  # a run that goes on takes as many threads as it began with; afterwards they are as before
    def fit(self, *, keep: bool = False) -> FitResult:
        """Train to the end, going on from the checkpoint if there is one.

        Args:
            keep: save the state at the end too, so that the same call then returns at once with the same weights.

        Raises:
            ConfigError: if the loss stops being finite.
            InterruptedRunError: if the checkpoint belongs to another run.
            KeyboardInterrupt: if ``stop`` said so.
        """
        start = saved = time.monotonic()
        self._resume()
        state, resumed_at, last = self.state, self.state.step, dict[str, float]()
        while state.step < self.total and not state.finished:
            last = self._step()
            self.log({"step": state.step, "total": self.total, **last})
            self._validate()
            stopping = any_of(self.stop(), self.world)
            if (stopping or time.monotonic() - saved >= self.settings.checkpoint_seconds) and state.step < self.total:
                self._save()
                saved = time.monotonic()
            if stopping and state.step < self.total:
                raise KeyboardInterrupt
        if keep and state.step > resumed_at:
            state.finished = True
            self._save()
        for i, parameter in enumerate(self.optimizer.parameters if self.best else ()):
            with torch.no_grad():
                parameter.copy_(self.best[f"{_BEST}{i}"])
        return FitResult(
            state.step,
            time.monotonic() - start,
            state.best_decay if self.best else self.optimizer.decay,
            resumed_at,
            state.best_step,
            state.best_score,
            last,
        )

    def _step(self) -> dict[str, float]:
        """Take one optimiser step: micro-batches, gathering, averaging, update. Returns its numbers."""
        batches = self.loader(self.state.step)
        losses: list[torch.Tensor] = []
        terms: dict[str, torch.Tensor] = {}
        seen: list[torch.Tensor] = []
        for batch in batches:
            encoded = self.module.encode(batch)
            features = gather(encoded.features.float(), self.world)
            targets = self._gathered(batch.targets)
            if encoded.target is not None:
                targets = replace(targets, target_features=gather(encoded.target.float(), self.world))
            loss, terms = self.module.loss(features, targets)
            self.scaler.scale(loss * (1 / len(batches))).backward()  # type: ignore[no-untyped-call]
            seen.append(encoded.features.detach())
            losses.append(loss.detach())
        average_gradients(self.optimizer.parameters, self.world)
        factor = self.settings.lr_factor(self.state.step, self.total)
        scale = self.scaler.get_scale()
        self.scaler.unscale_(self.optimizer.adam)  # after averaging: all processes see the same overflow
        norm = self.optimizer.step(factor)
        self.scaler.update()
        self.state.step += 1
        self.module.on_step_end(batches, seen)
        value = float(torch.stack(losses).mean())
        overflowed = self.scaler.get_scale() < scale and scale > 1  # at scale 1 it is no overflow of the scaling
        if not overflowed and not (math.isfinite(norm) and math.isfinite(value)):
            raise ConfigError(
                f"the loss is no longer finite at step {self.state.step} (loss {value}, gradient norm {norm})",
                hint="lower the learning rate (--set lr=…) or use --set precision=fp32",
            )
        numbers = {name: float(term) for name, term in terms.items()}
        return {"loss": value, **numbers, "lr": self.settings.lr * factor, "gradient_norm": norm}

    def _gathered(self, targets: Targets) -> Targets:
        if self.world.size == 1:
            return targets
        present = {name: gather(value, self.world) for name, value in vars(targets).items() if value is not None}
        return replace(targets, **present)

    def _validate(self) -> None:
        """Score the weights if it is time, and keep them if they are the best so far."""
        of, state = self.validation, self.state
        if of is None or state.step % of.every:
            return
        score, best = of.score(), state.best_score
        improved = best is None or score > best  # a tie is no improvement to patience
        state.stale = 0 if improved else state.stale + 1
        if improved or (of.ties == "last" and score == best):
            state.best_score, state.best_step, state.best_decay = score, state.step, self.optimizer.decay
            self.best = {f"{_BEST}{i}": p.detach().clone() for i, p in enumerate(self.optimizer.parameters)}
            self.module.on_best()
        state.finished = bool(of.patience) and state.stale >= of.patience

    def _save(self) -> None:
        if self.checkpoint is None or not self.world.leads:
            return
        own = {f"{_MODULE}{name}": tensor for name, tensor in self.module.state_dict().items()}
        facts = {"identity": self.identity, "state": asdict(self.state), "scaler": self.scaler.state_dict()}
        checkpoint.save(self.checkpoint, {**self.optimizer.state_dict(), **self.best, **own}, facts)

    def _resume(self) -> None:
        stored = None if self.checkpoint is None else checkpoint.load(self.checkpoint)
        if stored is None:
            return
        tensors, facts = stored
        if facts.get("identity") != self.identity:
            raise InterruptedRunError(
                f"{self.checkpoint} belongs to a run with other settings or data",
                hint="repeat that run's command to finish it, or delete the file to start anew",
            )
        self.state = _State(**facts["state"])
        torch.set_num_threads(self.state.threads)
        self.scaler.load_state_dict(facts["scaler"])
        self.best = {name: tensor for name, tensor in tensors.items() if name.startswith(_BEST)}
        own = {name.removeprefix(_MODULE): tensor for name, tensor in tensors.items() if name.startswith(_MODULE)}
        self.module.load_state_dict(own)
        self.optimizer.load_state_dict(
            {name: tensor for name, tensor in tensors.items() if not name.startswith((_BEST, _MODULE))}
        )
