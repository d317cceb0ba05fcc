"""Prefix tuning (P-tuning v2, Liu et al. 2022): trained keys and values before those of every text, in every block.

While training, a small network makes them (CLL-CLIP's comparison, §5.6 of its code); a pack keeps what it made.

Shapes: P prefix vectors, W width, L blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from glotclip.config import Settings
from glotclip.methods.module import TextModule, draw_linear, register_method
from glotclip.methods.settings import PECT_WITHOUT_NORMS
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask


@register_method("prefix", "trained keys and values in every block (P-tuning v2)", defaults=PECT_WITHOUT_NORMS)
class Prefix(TextModule):
    """Keys and values (P, W) of every block.

    A new one is made by a :class:`PrefixNetwork`; a shared one that a later task goes on with trains as keys and
    values, since the network that made them is gone.
    """

    class Config(Settings):
        """Trained keys and values before every text's, in every block."""

        length: int = Field(30, ge=1, description="number of keys and values (the comparison: 30)")

    stored_settings = ("length",)

    def __init__(self, text: TextConfig, config: Config) -> None:
        super().__init__(text, config)
        self.keys = nn.ParameterList(torch.empty(config.length, text.width) for _ in range(text.layers))
        self.values = nn.ParameterList(torch.empty(config.length, text.width) for _ in range(text.layers))

    @classmethod
    def new(cls, config: Any, task: TrainingTask) -> TextModule:
        """A network with initial weights."""
        return PrefixNetwork.new(config, task)

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s prefix."""
        return BlockHooks(prefix=(self.keys[k], self.values[k]))


class PrefixNetwork(TextModule):
    """Makes the prefix while training: an embedding (P, W), a map with tanh, and a map to all keys and values.

    The last map is held block by block, so that a block's gradient does not fill a matrix for all of them.
    """

    kind = "prefix"
    stored_settings = Prefix.stored_settings

    def __init__(self, text: TextConfig, config: Prefix.Config) -> None:
        super().__init__(text, config)
        self.text, W = text, text.width
        self.embedding = nn.Parameter(torch.empty(config.length, W))
        self.hidden = nn.Parameter(torch.empty(W, W))
        self.hidden_bias = nn.Parameter(torch.empty(W))
        self.out = nn.ParameterList(torch.empty(2 * W, W) for _ in range(text.layers))
        self.out_bias = nn.ParameterList(torch.empty(2 * W) for _ in range(text.layers))

    def init_weights(self, task: TrainingTask) -> None:
        """Embedding N(0, 1), maps as ``nn.Linear`` does, which are the defaults of these layers."""
        nn.init.normal_(self.embedding, generator=task.generator)
        draw_linear(self.hidden, self.hidden_bias, task.generator)
        for weight, bias in zip(self.out, self.out_bias, strict=True):
            draw_linear(weight, bias, task.generator)

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s prefix, as the network makes it now."""
        return BlockHooks(prefix=self._made(k))

    def _made(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        inner = torch.tanh(F.linear(self.embedding, self.hidden, self.hidden_bias))
        key, value = F.linear(inner, self.out[k], self.out_bias[k]).chunk(2, dim=-1)
        return key, value

    @torch.no_grad()
    def finished(self, decay: float) -> Prefix:
        """The keys and values it makes; the network itself is not kept."""
        prefix = Prefix(self.text, self.config).to(self.embedding.device)
        for k in range(self.text.layers):
            for parameter, made in zip((prefix.keys[k], prefix.values[k]), self._made(k), strict=True):
                parameter.copy_(made)
        return prefix.requires_grad_(False)
