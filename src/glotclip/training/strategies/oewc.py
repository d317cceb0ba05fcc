"""Online elastic weight consolidation: weights that earlier tasks depend on are held near where those left them.

CLL-CLIP §5.2: the loss gains ``1000 · Σ F (θ − θ*)²``, where θ* is θ at the start of the task and F sums, over all
earlier tasks, the squared gradients of a task's loss, averaged over the batches of one more pass (Schwarz et al. 2018
with γ = 1; the squares are of a batch's gradient, not of a sample's). θ is every weight that later tasks go on with:
the whole token table, by row id, and shared modules. Modules of one language's own have no later task, and the
temperature starts anew in each, so neither has an F.

The compact sub-table stays exact. A row outside it stands at θ*, where the penalty has no gradient, and under TEIR
nothing moves it. Plain decay does move it, after which the penalty pulls it back; so with plain decay every row with
an F is in the sub-table. Rows are dense there, which a task's time shows.

Faults of the reference that are not repeated: F belongs to the weights carried on, those of the best validation, and
not to the last step's; and an infinite gradient is an error instead of an infinite F. The extra pass computes in
float32 where training is in fp16, as it has no loss to scale.

Shapes: K rows of a table held, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import nn

from glotclip.errors import ConfigError
from glotclip.methods.task import TrainingTask
from glotclip.training.module import Batch
from glotclip.training.settings import ContinualSettings
from glotclip.training.strategies.strategy import Strategy

if TYPE_CHECKING:
    from glotclip.training.task_module import TaskModule

_IDS = ".ids"


class Importance(NamedTuple):
    """F of one weight tensor; of a table's rows, those that have one, by their ids (K,), ascending."""

    values: torch.Tensor
    ids: torch.Tensor | None = None

    def at(self, parameter: torch.Tensor, ids: torch.Tensor | None) -> torch.Tensor:
        """F in the shape of ``parameter``, whose rows are ``ids`` (K,) of a table; 0 for what is new."""
        found = torch.zeros_like(parameter)
        if self.values.shape[1:] != parameter.shape[1:] or (self.ids is None) != (ids is None):
            return found  # a weight of the same name that is something else now, as a prefix after its network
        if ids is None or self.ids is None:
            return self.values.to(parameter) if self.values.shape == parameter.shape else found
        if not len(self.ids):
            return found
        place = torch.searchsorted(self.ids, ids.cpu()).clamp(max=len(self.ids) - 1)
        known = self.ids[place] == ids.cpu()
        found[known.to(found.device)] = self.values[place[known]].to(found)
        return found

    def plus(self, other: Importance) -> Importance:
        """The sum, over the rows that either has."""
        if self.values.shape[1:] != other.values.shape[1:] or (self.ids is None) != (other.ids is None):
            return other
        if self.ids is None or other.ids is None:
            return Importance(self.values + other.values) if self.values.shape == other.values.shape else other
        ids = torch.unique(torch.cat([self.ids, other.ids]))
        total = torch.zeros(len(ids), *self.values.shape[1:])
        for each in (self, other):
            assert each.ids is not None
            total[torch.searchsorted(ids, each.ids)] += each.values
        return Importance(total, ids)


class _Held(NamedTuple):
    """A weight that the penalty holds: where it is, where it was, and how much that matters."""

    parameter: nn.Parameter
    start: torch.Tensor
    importance: torch.Tensor


class OnlineEwc(Strategy):
    """Holds weights by a quadratic penalty.

    Args:
        settings: ``ewc_weight`` is the penalty's.
    """

    name: ClassVar[str] = "oewc"

    def __init__(self, settings: ContinualSettings) -> None:
        self.weight = settings.ewc_weight
        self.importance: dict[str, Importance] = {}
        self._held: list[_Held] = []

    def anchored_rows(self) -> Mapping[str, torch.Tensor]:
        """Rows of tables that have an F, by the module's kind."""
        return {name.partition(".")[0]: each.ids for name, each in self.importance.items() if each.ids is not None}

    def on_stage_start(self, task: TrainingTask, stage: int) -> None:
        """Note where the weights start."""
        if stage == 0:
            self._held = [
                _Held(parameter, parameter.detach().clone(), self.importance[name].at(parameter.detach(), ids))
                for name, parameter, ids in lasting(task)
                if name in self.importance
            ]

    def extra_loss(self) -> Mapping[str, tuple[float, torch.Tensor]]:
        """The penalty ``Σ F (θ − θ*)²``, from the second task on."""
        terms = [(each.importance * (each.parameter - each.start).square()).sum() for each in self._held]
        return {"penalty": (self.weight, torch.stack(terms).sum())} if terms else {}

    def on_task_end(self, task: TrainingTask, module: TaskModule, batches: Iterable[Sequence[Batch]]) -> None:
        """Add the task's F: the mean over batches of the squared gradient of the loss, without penalty."""
        self._held = []
        if module.dtype is torch.float16:
            module.dtype = torch.float32
        weights = list(lasting(task))
        parameters = [parameter for _, parameter, _ in weights]
        sums = [torch.zeros_like(parameter) for parameter in parameters]
        count = 0
        for micro in batches if parameters else ():
            loss = torch.stack([_loss(module, batch) for batch in micro]).mean()
            for total, gradient in zip(sums, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
                if gradient is not None:
                    total += gradient.square()
            count += 1
        for (name, _, ids), total in zip(weights, sums, strict=True):
            if not bool(torch.isfinite(total).all()):
                raise ConfigError(
                    f"the gradient of {name} is not finite after the task",
                    hint="lower the learning rate (--set lr=…)",
                )
            new = Importance((total / max(1, count)).cpu(), None if ids is None else ids.cpu())
            self.importance[name] = self.importance[name].plus(new) if name in self.importance else new

    def tensors(self) -> dict[str, torch.Tensor]:
        """F of every weight, with the ids of tables' rows beside it."""
        stored = {name: each.values for name, each in self.importance.items()}
        return stored | {f"{name}{_IDS}": e.ids for name, e in self.importance.items() if e.ids is not None}

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Restore F."""
        self.importance = {
            name: Importance(values.float(), tensors.get(f"{name}{_IDS}"))
            for name, values in tensors.items()
            if not name.endswith(_IDS)
        }


def lasting(task: TrainingTask) -> Iterator[tuple[str, nn.Parameter, torch.Tensor | None]]:
    """The weights that train now and that later tasks go on with: name, weight, and the ids of a table's rows."""
    training = {id(parameter) for group in task.groups for parameter in group.parameters if parameter.requires_grad}
    for module in task.shared_modules:
        for name, parameter in module.named_parameters():
            if id(parameter) in training:
                ids = getattr(module, "ids", None) if name == "rows" else None
                yield f"{module.kind}.{name}", parameter, ids


def _loss(module: TaskModule, batch: Batch) -> torch.Tensor:
    encoded, targets = module.encode(batch), batch.targets
    if encoded.target is not None:
        targets = replace(targets, target_features=encoded.target.float())
    return module.loss(encoded.features.float(), targets)[0]
