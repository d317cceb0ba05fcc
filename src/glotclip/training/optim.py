"""AdamW with a factor for each row of a parameter, on its gradient and on its decay.

Shapes: K rows, W width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from glotclip.methods.module import ParameterGroup
from glotclip.training.settings import OptimizerSettings


class _Factors(NamedTuple):
    """Row factors as columns (K, 1) on the parameter's device; None means one everywhere."""

    gradient: torch.Tensor | None
    rate: torch.Tensor | None
    decay: torch.Tensor | None


def _columns(group: ParameterGroup) -> _Factors:
    device = group.parameters[0].device
    scales = (group.gradient_scale, group.rate_scale, group.decay_scale)
    return _Factors(*(None if scale is None else scale.to(device)[:, None] for scale in scales))


class UncorrectedAdam(torch.optim.Optimizer):
    """Adam without bias correction, with decoupled decay: BertAdam's update (Devlin et al. 2019), which MLA uses.

        m ← β₁m + (1 − β₁)g    v ← β₂v + (1 − β₂)g²    w ← (1 − η·decay)·w − η·m / (√v + ε)

    Its t-th step is the corrected one's times (1 − β₁ᵗ) / √(1 − β₂ᵗ), but for ε: at (0.9, 0.98) 0.7 in the first, 1.5
    in the tenth. Rates, schedule and clipping are the caller's.
    """

    def __init__(self, groups: list[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step; parameters without a gradient stay as they are, moments included."""
        for group in self.param_groups:
            (first, second), lr = group["betas"], group["lr"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update(exp_avg=torch.zeros_like(parameter), exp_avg_sq=torch.zeros_like(parameter))
                m, v = state["exp_avg"], state["exp_avg_sq"]
                m.mul_(first).add_(parameter.grad, alpha=1 - first)
                v.mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
                parameter.mul_(1 - lr * group["weight_decay"])
                parameter.addcdiv_(m, v.sqrt().add_(group["eps"]), value=-lr)


class Optimizer:
    """AdamW over parameter groups, with clipping and row factors.

    The order within a step is CLL-CLIP's (§3.2): clip by the global norm (then each tensor by its own, where that is
    asked for), scale the rows' gradients, decay the rows, update Adam's moments from the scaled gradients. Adam
    divides by the root of the second moment, so a factor on the gradient acts through ε only; a factor on the rate
    scales the update itself, which is another, stronger method.

    The learning rate is set here and not by torch's LambdaLR. That would multiply a group's ``lr_scale`` in another
    order, which changes last bits, and its counter would be one more thing to restore; the step is enough.
    """

    def __init__(self, groups: Sequence[ParameterGroup], settings: OptimizerSettings) -> None:
        self.settings = settings
        self.groups = [group for group in groups if any(p.requires_grad for p in group.parameters)]
        self.parameters = [p for group in self.groups for p in group.parameters if p.requires_grad]
        # Π(1 − η·weight decay) so far, for rows that were left out of the sub-table, at the sub-table's own rate.
        self.decay = 1.0
        self._pace = next((group.lr_scale for group in self.groups if group.decay_scale is not None), 1.0)
        self._factors = [_columns(group) for group in self.groups]
        decays = [
            settings.weight_decay if group.weight_decay and not self._by_row(group) else 0.0 for group in self.groups
        ]
        adam = torch.optim.AdamW if settings.adam_bias_correction else UncorrectedAdam
        self.adam: torch.optim.Optimizer = adam(
            [
                {"params": [p for p in group.parameters if p.requires_grad], "weight_decay": decay}
                for group, decay in zip(self.groups, decays, strict=True)
            ],
            lr=settings.lr,
            betas=settings.betas,
            eps=settings.eps,
        )

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.parameters[0].device

    @staticmethod
    def _by_row(group: ParameterGroup) -> bool:
        return any(scale is not None for scale in (group.decay_scale, group.gradient_scale, group.rate_scale))

    def step(self, factor: float) -> float:
        """Take one step at ``factor`` times the peak learning rate; return the gradient norm before clipping.

        If the norm is not finite, nothing changes and the gradients are dropped: the caller decides.
        """
        present = [p for p in self.parameters if p.grad is not None]
        limit = self.settings.clip_norm or float("inf")
        norm = float(nn.utils.clip_grad_norm_(present, limit))
        if not math.isfinite(norm):
            self.adam.zero_grad(set_to_none=True)
            return norm
        if self.settings.clip_per_tensor:
            for parameter in present:
                nn.utils.clip_grad_norm_(parameter, self.settings.clip_per_tensor)
        lr = self.settings.lr * factor
        slowed: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        for group, adam, factors in zip(self.groups, self.adam.param_groups, self._factors, strict=True):
            adam["lr"] = lr * group.lr_scale
            if not self._by_row(group):
                continue
            shrink = lr * group.lr_scale * self.settings.weight_decay if group.weight_decay else 0.0
            for parameter in group.parameters:
                with torch.no_grad():
                    if shrink:
                        parameter.mul_(1 - shrink * factors.decay if factors.decay is not None else 1 - shrink)
                if factors.gradient is not None and parameter.grad is not None:
                    parameter.grad.mul_(factors.gradient)
                if factors.rate is not None:
                    slowed.append((parameter.detach(), parameter.detach().clone(), factors.rate))
        self.adam.step()
        for now, before, rate in slowed:
            now.copy_(torch.where(rate == 1, now, torch.lerp(before, now, rate)))
        self.adam.zero_grad(set_to_none=True)
        self.decay *= 1 - lr * self._pace * self.settings.weight_decay
        return norm

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Parameters and moments by position, as tensors that safetensors can hold."""
        tensors: dict[str, torch.Tensor] = {"decay": torch.tensor(self.decay, dtype=torch.float64)}
        for i, parameter in enumerate(self.parameters):
            tensors[f"{i}.value"] = parameter.detach()
            for name, value in self.adam.state.get(parameter, {}).items():
                tensors[f"{i}.{name}"] = value
        return tensors

    def load_state_dict(self, tensors: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`state_dict` gave; the groups must be those it was taken from."""
        self.decay = float(tensors["decay"])
        for i, parameter in enumerate(self.parameters):
            with torch.no_grad():
                parameter.copy_(tensors[f"{i}.value"])
            prefix = f"{i}."
            moments = {
                name.removeprefix(prefix): value
                for name, value in tensors.items()
                if name.startswith(prefix) and not name.endswith(".value")
            }
            if moments:
                self.adam.state[parameter] = {
                    name: value.clone() if name == "step" else value.to(parameter.device).clone()
                    for name, value in moments.items()
                }
