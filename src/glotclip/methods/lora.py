"""LoRA (Hu et al. 2022): a product of two thin matrices beside a linear map of every block.

While training the product is never formed; for serving it can be added into the weights (``Route.merged``).

Shapes: S tokens, W width, r rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.methods.module import ModuleIngredient, ModulePart, draw_linear
from glotclip.methods.task import Context
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig

Target = Literal["q", "k", "v", "out", "up", "down"]
TARGETS: tuple[Target, ...] = get_args(Target)


class LowRank(nn.Module):
    """``s · B A x``.

    Args:
        inputs: width of x.
        outputs: width of what is added.
        rank: r.
        scale: s.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.a = nn.Parameter(torch.empty(rank, inputs))
        self.b = nn.Parameter(torch.empty(outputs, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(S, in) → (S, out), in the dtype of ``x``."""
        # The scale goes onto the thin side, where it costs least.
        return F.linear(F.linear(x, self.a.to(x.dtype)) * self.scale, self.b.to(x.dtype))

    def matrix(self) -> torch.Tensor:
        """The product s · B A (out, in)."""
        return (self.b @ self.a) * self.scale


class Lora(ModulePart):
    """Low-rank deltas on chosen linear maps of every block.

    Args:
        text: geometry of the tower.
        targets: which maps: ``q``, ``k``, ``v``, ``out`` of attention, ``up``, ``down`` of the MLP.
        rank: r.
        alpha: the delta is scaled by alpha / r.
    """

    kind: ClassVar[str] = "lora"

    def __init__(self, text: TextConfig, targets: Sequence[str], rank: int, alpha: float) -> None:
        super().__init__()
        known = 0 < len(set(targets)) == len(targets) and set(targets) <= set(TARGETS)
        if rank < 1 or not 0 < alpha < math.inf or not known:
            raise ConfigError(
                f"LoRA of rank {rank} and alpha {alpha} on {', '.join(targets) or 'nothing'}",
                hint=f"use a rank of 1 or more, a positive alpha, and some of {', '.join(TARGETS)}, each once",
            )
        self.targets = tuple(target for target in TARGETS if target in targets)
        self.rank, self.alpha, self.width = rank, float(alpha), text.width
        inputs = {"down": text.mlp_width}
        outputs = {"up": text.mlp_width}
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    name: LowRank(inputs.get(name, text.width), outputs.get(name, text.width), rank, alpha / rank)
                    for name in self.targets
                }
            )
            for _ in range(text.layers)
        )

    def low_rank(self, k: int) -> dict[str, LowRank]:
        """Block ``k``'s deltas by target."""
        block = self.blocks[k]
        assert isinstance(block, nn.ModuleDict)
        return {name: module for name, module in block.items() if isinstance(module, LowRank)}

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s deltas."""
        return BlockHooks(deltas=self.low_rank(k))

    def merged_delta(self, k: int) -> dict[str, torch.Tensor]:
        """The deltas as matrices; those of q, k and v are rows of the one map ``qkv`` (3W, W)."""
        modules = self.low_rank(k)
        dense: dict[str, torch.Tensor] = {
            name: modules[name].matrix() for name in ("out", "up", "down") if name in modules
        }
        rows = [modules[name].matrix() if name in modules else None for name in "qkv"]
        if any(row is not None for row in rows):
            empty = next(iter(modules.values())).a.new_zeros(self.width, self.width)
            dense["qkv"] = torch.cat([empty if row is None else row for row in rows])
        return dense

    def description(self) -> dict[str, Any]:
        """Targets, rank and alpha."""
        return {"targets": list(self.targets), "rank": self.rank, "alpha": self.alpha}


@dataclass(frozen=True)
class LoraIngredient(ModuleIngredient):
    """How a method uses LoRA.

    Args:
        shared: one for all languages, or one for each (both papers).
        targets: which maps get a delta; the papers: q and v.
        rank: r (the papers: 8).
        alpha: the delta is scaled by alpha / rank (PECT: 16, CLL-CLIP's comparison: 8).
    """

    kind: ClassVar[str] = Lora.kind
    shared: bool = False
    targets: tuple[Target, ...] = ("q", "v")
    rank: int = 8
    alpha: float = 16.0

    def fresh(self, context: Context) -> Lora:
        """A drawn as He et al. have it with slope √5, which is ±1/√in; B zero: the start is the base."""
        part = Lora(context.base.text.config, self.targets, self.rank, self.alpha)
        for k in range(len(part.blocks)):
            for module in part.low_rank(k).values():
                draw_linear(module.a, None, context.generator)
                nn.init.zeros_(module.b)
        return part
