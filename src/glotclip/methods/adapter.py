"""Adapters (Houlsby et al. 2019, as in PECT): a narrow bottleneck after attention and after the MLP of every block.

Shapes: S tokens, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from glotclip.methods.module import Activation, Bottleneck, ModuleIngredient, ModulePart, activation_named
from glotclip.methods.task import Context
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig

SITES = ("attention", "mlp")


class Site(Bottleneck):
    """``x + W_up f(W_down x + b_down) + b_up``, on what is about to be added to the residual stream."""

    def __init__(self, width: int, size: int, activation: Activation) -> None:
        super().__init__(width, size)
        self.activation = activation_named(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(S, W) → (S, W)."""
        return x + self.decode(self.activation(self.encode(x)))


class Adapter(ModulePart):
    """Two bottlenecks a block.

    Args:
        text: geometry of the tower.
        bottleneck: width of the bottlenecks.
        activation: f; a pack that does not say was made with GELU.
    """

    kind: ClassVar[str] = "adapter"

    def __init__(self, text: TextConfig, bottleneck: int, activation: Activation = "gelu_tanh") -> None:
        super().__init__()
        self.bottleneck, self.activation = bottleneck, activation
        self.blocks = nn.ModuleList(
            nn.ModuleDict({site: Site(text.width, bottleneck, activation) for site in SITES})
            for _ in range(text.layers)
        )

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s two bottlenecks."""
        block = self.blocks[k]
        assert isinstance(block, nn.ModuleDict)
        return BlockHooks(after_attention=block["attention"], after_mlp=block["mlp"])

    def description(self) -> dict[str, Any]:
        """The bottlenecks' width and their activation."""
        return {"bottleneck": self.bottleneck, "activation": self.activation}


@dataclass(frozen=True)
class AdapterIngredient(ModuleIngredient):
    """How a method uses adapters.

    Args:
        shared: one set for all languages, or one for each (the paper).
        bottleneck: its width (the paper: 24).
        std: standard deviation of the weights at the start; biases are zero. Small: nearly the base.
        activation: between the two maps (PECT's library by its default: GELU's tanh form, ``gelu_new``).
    """

    kind: ClassVar[str] = Adapter.kind
    shared: bool = False
    bottleneck: int = 24
    std: float = 0.01
    activation: Activation = "gelu_tanh"

    def fresh(self, context: Context) -> Adapter:
        """Draw adapters for every block."""
        part = Adapter(context.base.text.config, self.bottleneck, self.activation)
        with torch.no_grad():
            for parameter in part.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=self.std, generator=context.generator)
                else:
                    parameter.zero_()
        return part
