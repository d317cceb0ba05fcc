"""Training the tower's own weights: its blocks' layer norms, or all of it (full fine-tuning, the upper bound).

The base stays as it is: a part holds changed copies, which the tower uses in its own weights' stead.

Shapes: B batch, T tokens, V rows of the table, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.methods.module import ModuleIngredient, ModulePart
from glotclip.methods.stack import own_weights
from glotclip.methods.task import Context
from glotclip.models.blocks import Block
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig, TextTower

NORMS = ("norm1", "norm1_bias", "norm2", "norm2_bias")


class Norms(ModulePart):
    """The two layer norms of every block.

    Args:
        text: geometry of the tower.
    """

    kind: ClassVar[str] = "norms"
    replaces: ClassVar[bool] = True

    def __init__(self, text: TextConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ParameterDict({name: torch.empty(text.width) for name in NORMS}) for _ in range(text.layers)
        )

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s norms."""
        return BlockHooks(weights=_held(self.blocks[k]))


@dataclass(frozen=True)
class NormsIngredient(ModuleIngredient):
    """Train the layer norms of every block, beside a method's modules (PECT) or alone.

    Args:
        shared: one set for all languages, or one for each (the paper).
    """

    kind: ClassVar[str] = Norms.kind
    shared: bool = False

    def fresh(self, context: Context) -> Norms:
        """Copy the base's."""
        part = Norms(context.base.text.config)
        _copy_blocks(part.blocks, context.base.text)
        return part


class Tower(ModulePart):
    """Every weight of the text tower but the token table.

    Args:
        text: geometry of the tower.
    """

    kind: ClassVar[str] = "tower"
    replaces: ClassVar[bool] = True

    def __init__(self, text: TextConfig) -> None:
        super().__init__()
        with torch.device("meta"):
            shapes = TextTower(text)
        self.blocks = nn.ModuleList(
            nn.ParameterDict({name: torch.empty(tensor.shape) for name, tensor in own_weights(block).items()})
            for block in shapes.blocks
            if isinstance(block, Block)
        )
        # A parameter's name must have no dots.
        self.around = nn.ParameterDict(
            {name.replace(".", "_"): torch.empty(tensor.shape) for name, tensor in _around(shapes).items()}
        )
        self._names = {name: name.replace(".", "_") for name in _around(shapes)}

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        """Positions, final norm and projection."""
        return {name: self.around[held] for name, held in self._names.items()}

    def block_hooks(self, k: int) -> BlockHooks:
        """All weights of block ``k``."""
        return BlockHooks(weights=_held(self.blocks[k]))


@dataclass(frozen=True)
class TowerIngredient(ModuleIngredient):
    """Train all of the text tower but its token table; with :class:`TableIngredient` that is full fine-tuning.

    Args:
        shared: one copy for all languages, or one for each.
    """

    kind: ClassVar[str] = Tower.kind
    shared: bool = False

    def fresh(self, context: Context) -> Tower:
        """Copy the base's."""
        part = Tower(context.base.text.config)
        _copy_blocks(part.blocks, context.base.text)
        with torch.no_grad():
            theirs = _around(context.base.text)
            for name, tensor in part.parameter_overrides().items():
                tensor.copy_(theirs[name])
        return part


class Table(ModulePart):
    """The whole token table of the base.

    Args:
        text: geometry of the tower.
    """

    kind: ClassVar[str] = "table"
    replaces: ClassVar[bool] = True
    replaces_embedding: ClassVar[bool] = True

    def __init__(self, text: TextConfig) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.empty(text.vocab_size, text.width))

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids among its own rows instead of ``table`` (V, W)."""
        return F.embedding(ids, self.rows)


@dataclass(frozen=True)
class TableIngredient(ModuleIngredient):
    """Train every row of the base's token table. Not beside the lexicon, which owns the lookup where it is.

    Args:
        shared: one table for all languages, or one for each.
    """

    kind: ClassVar[str] = Table.kind
    shared: bool = False

    def fresh(self, context: Context) -> Table:
        """Copy the base's.

        Raises:
            ConfigError: if the lesson's tokenizer has more tokens than the base.
        """
        text = context.base.text
        if context.tokenizer.vocab_size > text.config.vocab_size:
            raise ConfigError(
                f"the vocabulary has grown to {context.tokenizer.vocab_size} tokens, the whole table trained here "
                f"has {text.config.vocab_size}",
                hint="let the lexicon train the rows, or add no tokens (vocabulary=0)",
            )
        part = Table(text.config)
        with torch.no_grad():
            part.rows.copy_(text.table)
        return part


def _around(text: TextTower) -> dict[str, torch.Tensor]:
    """The tower's parameters outside its blocks, by name, without the token table."""
    return {
        name: tensor for name, tensor in text.named_parameters() if name != "table" and not name.startswith("blocks.")
    }


def _held(weights: nn.Module) -> dict[str, torch.Tensor]:
    assert isinstance(weights, nn.ParameterDict)
    return dict(weights.items())


@torch.no_grad()
def _copy_blocks(blocks: nn.ModuleList, text: TextTower) -> None:
    """Set each block's held weights to the tower's own."""
    for held, block in zip(blocks, text.blocks, strict=True):
        assert isinstance(block, Block)
        own = own_weights(block)
        for name, tensor in _held(held).items():
            tensor.copy_(own[name])
