"""Adapters (Houlsby et al. 2019, as in PECT): a narrow bottleneck after attention and after the MLP of every block.

Shapes: S tokens, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pydantic import Field
from torch import nn

from glotclip.config import Settings
from glotclip.methods.bottleneck import Activation, Bottleneck
from glotclip.methods.module import TextModule, register_method
from glotclip.methods.settings import PECT
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask


@register_method("adapter", "two bottlenecks inside every block (PECT)", defaults=PECT)
class Adapter(TextModule):
    """``x + W_up f(W_down x + b_down) + b_up`` on what attention and MLP are about to add to the residual stream."""

    class Config(Settings):
        """Bottlenecks at the end of attention and of the MLP."""

        bottleneck: int = Field(24, ge=1, description="width of the bottlenecks; the paper: 24")
        adapter_std: float = Field(0.01, ge=0, description="standard deviation of the weights at the start")
        activation: Activation = Field("gelu_tanh", description="between the two maps; PECT: gelu_tanh")

    stored_settings = ("bottleneck", "activation")

    def __init__(self, text: TextConfig, config: Config) -> None:
        super().__init__(text, config)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    place: Bottleneck(text.width, config.bottleneck, config.activation, residual=True)
                    for place in ("attention", "mlp")
                }
            )
            for _ in range(text.layers)
        )

    def init_weights(self, task: TrainingTask) -> None:
        """Matrices normal with a small deviation, which is nearly the base; biases zero."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=self.config.adapter_std, generator=task.generator)
            else:
                nn.init.zeros_(parameter)

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s two bottlenecks."""
        block = cast(nn.ModuleDict, self.blocks[k])
        return BlockHooks(after_attention=block["attention"], after_mlp=block["mlp"])
