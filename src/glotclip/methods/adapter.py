"""Adapters (Houlsby et al. 2019, as in PECT): a narrow bottleneck after attention and after the MLP of every block.

Shapes: S tokens, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.methods.lesson import Context
from glotclip.methods.module import Bottleneck, ModuleIngredient, ModulePart
from glotclip.models.pathway import Inside
from glotclip.models.text_tower import TextConfig

SITES = ("attention", "mlp")


class Site(Bottleneck):
    """``x + W_up gelu(W_down x + b_down) + b_up``, on what is about to be added to the residual stream."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(S, W) → (S, W)."""
        return x + self.decode(F.gelu(self.encode(x), approximate="tanh"))


class Adapter(ModulePart):
    """Two bottlenecks a block.

    Args:
        text: geometry of the tower.
        bottleneck: width of the bottlenecks.
    """

    kind: ClassVar[str] = "adapter"

    def __init__(self, text: TextConfig, bottleneck: int) -> None:
        super().__init__()
        self.bottleneck = bottleneck
        self.blocks = nn.ModuleList(
            nn.ModuleDict({site: Site(text.width, bottleneck) for site in SITES}) for _ in range(text.layers)
        )

    def inside(self, k: int) -> Inside:
        """Block ``k``'s two bottlenecks."""
        block = self.blocks[k]
        assert isinstance(block, nn.ModuleDict)
        return Inside(after_attention=block["attention"], after_mlp=block["mlp"])

    def description(self) -> dict[str, Any]:
        """The bottlenecks' width."""
        return {"bottleneck": self.bottleneck}


@dataclass(frozen=True)
class AdapterIngredient(ModuleIngredient):
    """How a method uses adapters.

    Args:
        shared: one set for all languages, or one for each (the paper).
        bottleneck: its width (the paper: 24).
        std: standard deviation of the weights at the start; biases are zero. Small: nearly the base.
    """

    kind: ClassVar[str] = Adapter.kind
    shared: bool = False
    bottleneck: int = 24
    std: float = 0.01

    def fresh(self, context: Context) -> Adapter:
        """Draw adapters for every block."""
        part = Adapter(context.base.text.config, self.bottleneck)
        with torch.no_grad():
            for parameter in part.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=self.std, generator=context.generator)
                else:
                    parameter.zero_()
        return part
