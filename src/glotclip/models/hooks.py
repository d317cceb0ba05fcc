"""Where a language may change what the frozen text tower computes.

Shapes: B batch, T tokens, S packed tokens, W width, V vocabulary rows of the base, P prompt or prefix vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from glotclip.models.text_tower import TextTower

Map = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class BlockHooks:
    """Changes within one block. Everything may be left out.

    In low precision the linear maps compute in bf16 or fp16 while weights and residual stream are float32: deltas and
    the functions after a sub-layer are handed tensors in the dtype of the linear maps, must use their own weights in
    ``x.dtype``, and should return it. Rows are packed tokens and may be filler: each is to be treated by itself.

    Attributes:
        weights: tensors that replace the block's own, by the names of
            :class:`glotclip.models.blocks.Weights` (``norm1``, ``qkv_bias``, ``up``, …), in the tower's dtype. In low
            precision one that takes no gradient is cast once as long as the same unchanged tensor is given.
        deltas: for the linear maps ``q``, ``k``, ``v``, ``out``, ``up``, ``down``: a function of the map's input
            (S, in) whose value (S, out) is added to the map's output.
        after_attention: a function of the attention's output (S, W), before it is added to the residual stream.
        after_mlp: the same for the MLP's output.
        prefix: keys and values (P, W) each, put before those of every text; nothing hides them. (B, P, W) each where
            they differ from text to text, in the order of the batch.
    """

    weights: Mapping[str, torch.Tensor] = field(default_factory=dict)
    deltas: Mapping[str, Map] = field(default_factory=dict)
    after_attention: Map | None = None
    after_mlp: Map | None = None
    prefix: tuple[torch.Tensor, torch.Tensor] | None = None


class TextHooks(nn.Module):
    """What one language pack adds to the frozen text tower. This class adds nothing: the tower stays the base's.

    A subclass overrides the methods it needs. The tower calls :meth:`parameter_overrides`, :meth:`prompt` and
    :meth:`embed` once, then for every block ``k`` (from 0) :meth:`block_hooks` before it and :meth:`after_block` on
    its output. Tokens are packed: ``B`` is 1 and ``T`` the number of tokens of all texts. Where only one position is
    read, the last block computes that alone, so there ``T`` is the number of texts; a tower that reads the mean
    computes all tokens. What acts after a block must therefore act on each position by itself.
    """

    replaces_embedding: ClassVar[bool] = False  # true where :meth:`embed` takes the place of the token table
    replaces_tower: ClassVar[bool] = False  # true where :meth:`tower` gives another than the base's
    in_probe: ClassVar[bool] = True  # false where it does not act on the features that :meth:`condition_on` is given

    def tower(self, own: TextTower) -> TextTower:
        """The tower that these hooks act in, given the base's: whoever encodes with hooks asks for it first."""
        return own

    def probe(self) -> TextHooks | None:
        """Hooks whose features decide what these do, or None where nothing depends on the text.

        Where there are some, the tower first encodes every batch with them, without gradients, and then goes on with
        what :meth:`condition_on` returns, which is not probed again.
        """
        return None

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        """The hooks for texts whose raw features under :meth:`probe` are these (B, E)."""
        return self

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        """Tensors that replace the tower's own outside its blocks, by parameter name and of the same shape.

        A pre-norm tower has ``positions``, ``norm.weight``, ``norm.bias``, ``projection.weight`` and maybe
        ``projection.bias``; a post-norm one has ``embed_norm`` and no ``norm``. :meth:`embed` replaces the table.
        """
        return {}

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up token ids (B, T) in the base's table (V, W), giving (B, T, W); positions are added later."""
        return F.embedding(ids, table)

    def prompt(self, table: torch.Tensor) -> torch.Tensor | None:
        """Vectors (P, W) to insert after every text's first token; they take positions as tokens do.

        Every text is P tokens longer then; one that would exceed the context loses the tokens before its last one.
        """
        return None

    def block_hooks(self, k: int) -> BlockHooks | None:
        """What changes within block ``k``; None: nothing."""
        return None

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        """Return what follows block ``k``, given its output (B, T, W)."""
        return hidden
