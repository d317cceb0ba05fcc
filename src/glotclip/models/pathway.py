"""The places in the text tower where a language may act.

Shapes: B batch, T tokens, S packed tokens, W width, V vocabulary rows of the base, P prompt or prefix vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

Map = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Inside:
    """What acts within one block. Everything may be left out.

    Attributes:
        weights: tensors that stand in for the block's own, by the names of
            :class:`glotclip.models.blocks.Weights` (``norm1``, ``qkv_bias``, ``up``, …), in the tower's dtype.
        deltas: for the linear maps ``q``, ``k``, ``v``, ``out``, ``up``, ``down``: a function of the map's input
            (S, in) whose value (S, out) is added to the map's output.
        after_attention: a function of the attention's output (S, W), before it is added to the residual stream.
        after_mlp: the same for the MLP's output.
        prefix: keys and values (P, W) each, put before those of every text; nothing hides them.
    """

    weights: Mapping[str, torch.Tensor] = field(default_factory=dict)
    deltas: Mapping[str, Map] = field(default_factory=dict)
    after_attention: Map | None = None
    after_mlp: Map | None = None
    prefix: tuple[torch.Tensor, torch.Tensor] | None = None


class Pathway(nn.Module):
    """What one language pack adds to the frozen text tower. This class adds nothing: it is the base's own path.

    A subclass overrides the places it needs. The tower calls them in this order: :meth:`outside`, :meth:`embed` and
    :meth:`prompt` once, then for every block ``k`` (from 0) :meth:`inside` before it and :meth:`after_block` on its
    output. Where that is exact, the last block computes only the position that is pooled, so there ``T`` may be 1:
    what acts after a block must act on each position by itself.
    """

    def outside(self) -> Mapping[str, torch.Tensor]:
        """Tensors that stand in for the tower's own outside its blocks, by parameter name (``positions``, …)."""
        return {}

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up token ids (B, T) in the base's table (V, W), giving (B, T, W); positions are added later."""
        return F.embedding(ids, table)

    def prompt(self, table: torch.Tensor) -> torch.Tensor | None:
        """Vectors (P, W) to insert after every text's first token; they take positions as tokens do."""
        return None

    def inside(self, k: int) -> Inside | None:
        """What acts within block ``k``."""
        return None

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        """Return what follows block ``k``, given its output (B, T, W)."""
        return hidden
