"""Prefix tuning (P-tuning v2, Liu et al. 2022): trained keys and values before those of every text, in every block.

While training, a small network makes them (CLL-CLIP's comparison, §5.6 of its code); a pack keeps what it made.

Shapes: P prefix vectors, W width, L blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.methods.module import ModuleIngredient, ModulePart, draw_linear
from glotclip.methods.task import Context
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig


class Prefix(ModulePart):
    """Keys and values (P, W) of every block.

    Args:
        text: geometry of the tower.
        length: P.
    """

    kind: ClassVar[str] = "prefix"

    def __init__(self, text: TextConfig, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ConfigError(f"a prefix of {length} vectors", hint="use 1 or more")
        self.length = length
        self.keys = nn.ParameterList(torch.empty(length, text.width) for _ in range(text.layers))
        self.values = nn.ParameterList(torch.empty(length, text.width) for _ in range(text.layers))

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s prefix."""
        return BlockHooks(prefix=(self.keys[k], self.values[k]))

    def description(self) -> dict[str, Any]:
        """Number of vectors."""
        return {"length": self.length}


class PrefixNetwork(ModulePart):
    """Makes the prefix while training: an embedding (P, W), a map with tanh, and a map to all keys and values.

    The last map is held block by block, so that a block's gradient does not fill a matrix for all of them.

    Args:
        text: geometry of the tower.
        length: P.
    """

    kind: ClassVar[str] = Prefix.kind

    def __init__(self, text: TextConfig, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ConfigError(f"a prefix of {length} vectors", hint="use 1 or more")
        W = text.width
        self.text = text
        self.embedding = nn.Parameter(torch.empty(length, W))
        self.hidden = nn.Parameter(torch.empty(W, W))
        self.hidden_bias = nn.Parameter(torch.empty(W))
        self.out = nn.ParameterList(torch.empty(2 * W, W) for _ in range(text.layers))
        self.out_bias = nn.ParameterList(torch.empty(2 * W) for _ in range(text.layers))

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s prefix, as the network makes it now."""
        key, value = self._made(k)
        return BlockHooks(prefix=(key, value))

    def _made(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        inner = torch.tanh(F.linear(self.embedding, self.hidden, self.hidden_bias))
        key, value = F.linear(inner, self.out[k], self.out_bias[k]).chunk(2, dim=-1)
        return key, value

    @torch.no_grad()
    def stored(self) -> Prefix:
        """The keys and values it makes; the network itself is not kept."""
        prefix = Prefix(self.text, len(self.embedding)).to(self.embedding.device)
        for k in range(self.text.layers):
            for parameter, made in zip((prefix.keys[k], prefix.values[k]), self._made(k), strict=True):
                parameter.copy_(made)
        return prefix.requires_grad_(False)

    def description(self) -> dict[str, Any]:
        """Number of vectors."""
        return {"length": len(self.embedding)}


@dataclass(frozen=True)
class PrefixIngredient(ModuleIngredient):
    """How a method uses a prefix.

    A shared prefix that a later task goes on with trains as keys and values: the network that made them is gone.

    Args:
        shared: one for all languages, or one for each (the comparison).
        length: number of keys and values in every block (the comparison: 30).
    """

    kind: ClassVar[str] = Prefix.kind
    shared: bool = False
    length: int = 30

    def fresh(self, context: Context) -> PrefixNetwork:
        """Draw the network: embedding N(0, 1), maps as ``nn.Linear`` does, which are the defaults of these layers."""
        part = PrefixNetwork(context.base.text.config, self.length)
        nn.init.normal_(part.embedding, generator=context.generator)
        draw_linear(part.hidden, part.hidden_bias, context.generator)
        for weight, bias in zip(part.out, part.out_bias, strict=True):
            draw_linear(weight, bias, context.generator)
        return part
