"""The language acquirer of MLA (Zhang et al., NeurIPS 2022): a wide bottleneck on the output of every block.

Shapes: B batch, T tokens, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.methods.module import Bottleneck, ModuleIngredient, ModulePart, draw_linear
from glotclip.methods.task import Context
from glotclip.models.text_tower import TextConfig


class Acquirer(ModulePart):
    """``h = u + W_up ReLU(W_down u + b_down) + b_up`` with u the output of a block (MLA §3.2).

    Args:
        text: geometry of the tower.
        bottleneck: width of the bottleneck.
    """

    kind: ClassVar[str] = "acquirer"

    def __init__(self, text: TextConfig, bottleneck: int) -> None:
        super().__init__()
        self.bottleneck = bottleneck
        self.blocks = nn.ModuleList(Bottleneck(text.width, bottleneck) for _ in range(text.layers))

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        """Add what block ``k``'s acquirer makes of the block's output (B, T, W)."""
        module = self.blocks[k]
        assert isinstance(module, Bottleneck)
        return hidden + module.decode(F.relu(module.encode(hidden)))

    def description(self) -> dict[str, Any]:
        """The bottleneck's width."""
        return {"bottleneck": self.bottleneck}


@dataclass(frozen=True)
class AcquirerIngredient(ModuleIngredient):
    """How a method uses acquirers.

    Args:
        shared: one for all languages, or one for each (the paper).
        bottleneck: its width; the paper's is half the tower's width.
        near_identity: start as the base, with W_up and b_up zero. False draws all as ``nn.Linear`` does, which is
            the reference's way and starts far from the base.
    """

    kind: ClassVar[str] = Acquirer.kind
    shared: bool = False
    bottleneck: int = 256
    near_identity: bool = True

    def fresh(self, context: Context) -> Acquirer:
        """Draw acquirers for every block."""
        part = Acquirer(context.base.text.config, self.bottleneck)
        with torch.no_grad():
            for module in part.blocks:
                assert isinstance(module, Bottleneck)
                draw_linear(module.down, module.down_bias, context.generator)
                draw_linear(module.up, module.up_bias, context.generator)
                if self.near_identity:
                    module.up.zero_()
                    module.up_bias.zero_()
        return part
