"""LoRA (Hu et al. 2022): a product of two thin matrices beside a linear map of every block.

While training the product is never formed; for serving it can be added into the weights (``ModuleStack.merged``).

Shapes: S tokens, W width, r rank.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, cast, get_args

import torch
from pydantic import Field, field_validator
from torch import nn
from torch.nn import functional as F

from glotclip.config import Settings
from glotclip.methods.module import TextModule, draw_linear, register_method
from glotclip.methods.settings import PECT
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask

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


@register_method("lora", "low-rank deltas on linear maps (PECT)", defaults=PECT)
class Lora(TextModule):
    """Low-rank deltas on chosen linear maps of every block."""

    class Config(Settings):
        """LoRA on linear maps of every block."""

        targets: tuple[Target, ...] = Field(("q", "v"), description="maps with a delta: q, k, v, out, up, down")
        rank: int = Field(8, ge=1, description="rank of the deltas")
        alpha: float = Field(
            16.0,
            gt=0,
            lt=math.inf,
            description="deltas are scaled by alpha / rank (PECT: 16; CLL-CLIP's comparison: 8)",
        )

        @field_validator("targets")
        @classmethod
        def _each_once(cls, targets: tuple[Target, ...]) -> tuple[Target, ...]:
            if not targets or len(set(targets)) < len(targets):
                raise ValueError(f"name some of {', '.join(TARGETS)}, each once")
            return tuple(target for target in TARGETS if target in targets)

    stored_settings = ("targets", "rank", "alpha")

    def __init__(self, text: TextConfig, config: Config) -> None:
        super().__init__(text, config)
        self.width, scale = text.width, config.alpha / config.rank
        inputs, outputs = {"down": text.mlp_width}, {"up": text.mlp_width}

        def delta(target: str) -> LowRank:
            return LowRank(inputs.get(target, text.width), outputs.get(target, text.width), config.rank, scale)

        self.blocks = nn.ModuleList(
            nn.ModuleDict({target: delta(target) for target in config.targets}) for _ in range(text.layers)
        )

    def low_rank(self, k: int) -> dict[str, LowRank]:
        """Block ``k``'s deltas by target."""
        return {name: cast(LowRank, module) for name, module in cast(nn.ModuleDict, self.blocks[k]).items()}

    def init_weights(self, task: TrainingTask) -> None:
        """A drawn as He et al. have it with slope √5, which is ±1/√in; B zero: the start is the base."""
        for k in range(len(self.blocks)):
            for module in self.low_rank(k).values():
                draw_linear(module.a, None, task.generator)
                nn.init.zeros_(module.b)

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s deltas."""
        return BlockHooks(deltas=self.low_rank(k))

    def merged_delta(self, k: int) -> dict[str, torch.Tensor]:
        """The deltas as matrices; those of q, k and v are rows of the one map ``qkv`` (3W, W)."""
        modules = self.low_rank(k)
        dense: dict[str, torch.Tensor] = {
            name: modules[name].matrix() for name in ("out", "up", "down") if name in modules
        }
        rows = [modules[name].matrix() if name in modules else None for name in ("q", "k", "v")]
        if any(row is not None for row in rows):
            empty = next(iter(modules.values())).a.new_zeros(self.width, self.width)
            dense["qkv"] = torch.cat([empty if row is None else row for row in rows])
        return dense
