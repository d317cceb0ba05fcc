"""The language acquirer of MLA (Zhang et al., NeurIPS 2022): a wide bottleneck on the output of every block.

Shapes: B batch, T tokens, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from pydantic import Field
from torch import nn

from glotclip.config import Settings
from glotclip.methods.bottleneck import Bottleneck
from glotclip.methods.module import TextModule, draw_linear, register_method
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask


# Both losses at once: above MLA's two stages at equal steps (benchmarks/results/compare_mla.md); the weight of images
# is chosen by benchmarks/acquirer_defaults.py. The paper's own are recipes/mla_paper.yaml.
@register_method(
    "acquirer", "a bottleneck after every block (MLA)", defaults={"cross_modal": 0.1, "learn_temperature": False}
)
class Acquirer(TextModule):
    """``h = u + W_up ReLU(W_down u + b_down) + b_up`` with u the output of a block (MLA §3.2)."""

    class Config(Settings):
        """MLA: a bottleneck after every block."""

        bottleneck: int = Field(256, ge=1, description="width of the bottleneck; the paper: half the tower's width")
        near_identity: bool = Field(True, description="start as the base does; False: drawn as the reference does")
        skip: bool = Field(False, description="no acquirers, the embedding alone (the paper's ablation)")

    stored_settings = ("bottleneck",)

    def __init__(self, text: TextConfig, config: Config) -> None:
        super().__init__(text, config)
        self.blocks = nn.ModuleList(Bottleneck(text.width, config.bottleneck, "relu") for _ in range(text.layers))

    @classmethod
    def method_modules(cls, config: Any) -> list[type[TextModule]]:
        """The embedding and the acquirers, unless those are to be skipped."""
        return [module for module in super().method_modules(config) if module is not cls or not config.skip]

    def init_weights(self, task: TrainingTask) -> None:
        """Draw as ``nn.Linear`` does (the reference); W_up and b_up zero where the start is to be the base."""
        for module in self.blocks:
            block = cast(Bottleneck, module)
            draw_linear(block.down, block.down_bias, task.generator)
            draw_linear(block.up, block.up_bias, task.generator)
            if self.config.near_identity:
                nn.init.zeros_(block.up)
                nn.init.zeros_(block.up_bias)

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        """Add what block ``k``'s acquirer makes of the block's output (B, T, W)."""
        added: torch.Tensor = self.blocks[k](hidden)
        return hidden + added
