"""Training the tower's own weights: its blocks' layer norms, or all of it (full fine-tuning, the upper bound).

The base stays as it is: a module holds changed copies, which the tower uses in place of its own weights.

Shapes: B batch, T tokens, V rows of the table, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.methods.module import TextModule, register_method, register_module
from glotclip.methods.settings import PECT, PECT_WITHOUT_NORMS
from glotclip.models.blocks import Block
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig, TextTower

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask

_NORMS = ("norm1", "norm1_bias", "norm2", "norm2_bias")


@register_method("norms", "layer norms alone", defaults=PECT)
class Norms(TextModule):
    """The two layer norms of every block: beside a method's own module (PECT) or alone."""

    replaces_weights = True

    def __init__(self, text: TextConfig, config: Any) -> None:
        super().__init__(text, config)
        self.blocks = nn.ModuleList(
            nn.ParameterDict({name: torch.empty(text.width) for name in _NORMS}) for _ in range(text.layers)
        )

    def init_weights(self, task: TrainingTask) -> None:
        """Copy the base's."""
        _copy_blocks(self.blocks, task.base.text)

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s norms."""
        return BlockHooks(weights=_held(self.blocks[k]))


@register_method(
    "full", "every weight of the text tower: the upper bound, and a whole tower a pack", defaults=PECT_WITHOUT_NORMS
)
class FullTower(TextModule):
    """Every weight of the text tower but the token table, which the lexicon or :class:`FullTable` trains."""

    replaces_weights = True

    def __init__(self, text: TextConfig, config: Any) -> None:
        super().__init__(text, config)
        with torch.device("meta"):
            shapes = TextTower(text)
        self.blocks = nn.ModuleList(
            nn.ParameterDict({name: torch.empty(tensor.shape) for name, tensor in own_weights(block).items()})
            for block in shapes.blocks
        )
        # A parameter's name must have no dots.
        self._names = {name: name.replace(".", "_") for name in around(shapes)}
        self.around = nn.ParameterDict(
            {self._names[name]: torch.empty(tensor.shape) for name, tensor in around(shapes).items()}
        )

    @classmethod
    def method_modules(cls, config: Any) -> list[type[TextModule]]:
        """The tower, and the whole table where no embedding is chosen beside it."""
        return [*super().method_modules(config), *([FullTable] if config.embedding == "base" else [])]

    def init_weights(self, task: TrainingTask) -> None:
        """Copy the base's."""
        _copy_blocks(self.blocks, task.base.text)
        theirs = around(task.base.text)
        for name, tensor in self.parameter_overrides().items():
            tensor.copy_(theirs[name])

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        """Positions, final norm and projection."""
        return {name: self.around[held] for name, held in self._names.items()}

    def block_hooks(self, k: int) -> BlockHooks:
        """All weights of block ``k``."""
        return BlockHooks(weights=_held(self.blocks[k]))


@register_module("table")
class FullTable(TextModule):
    """The whole token table of the base."""

    replaces_weights = True
    replaces_embedding = True

    def __init__(self, text: TextConfig, config: Any) -> None:
        super().__init__(text, config)
        self.rows = nn.Parameter(torch.empty(text.vocab_size, text.width))

    def init_weights(self, task: TrainingTask) -> None:
        """Copy the base's.

        Raises:
            ConfigError: if the task's tokenizer has more tokens than the base.
        """
        rows, grown = len(self.rows), task.tokenizer.vocab_size
        if grown > rows:
            raise ConfigError(
                f"the vocabulary has grown to {grown} tokens, the whole table trained here has {rows}",
                hint="let the lexicon train the rows, or add no tokens (vocabulary=0)",
            )
        self.rows.copy_(task.base.text.table)

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids among its own rows instead of ``table`` (V, W)."""
        return F.embedding(ids, self.rows)


def own_weights(block: nn.Module) -> dict[str, torch.Tensor]:
    """A block's own weights, by the names that :class:`~glotclip.models.hooks.BlockHooks` uses."""
    own: dict[str, torch.Tensor] = {}
    for stem in ("norm1", "qkv", "out", "norm2", "up", "down"):
        module = getattr(cast(Block, block), stem)
        own |= {stem: module.weight, f"{stem}_bias": module.bias}
    return own


def around(text: TextTower) -> dict[str, torch.Tensor]:
    """The tower's parameters outside its blocks, by name, without the token table."""
    return {
        name: tensor for name, tensor in text.named_parameters() if name != "table" and not name.startswith("blocks.")
    }


def _held(weights: nn.Module) -> dict[str, torch.Tensor]:
    return dict(cast(nn.ParameterDict, weights).items())


def _copy_blocks(blocks: nn.ModuleList, text: TextTower) -> None:
    """Set each block's held weights to the tower's own."""
    for held, block in zip(blocks, text.blocks, strict=True):
        own = own_weights(block)
        for name, tensor in _held(held).items():
            tensor.copy_(own[name])
