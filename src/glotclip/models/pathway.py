"""The places in the text tower where a language may act.

Shapes: B batch, T tokens, W width, V vocabulary rows of the base.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Pathway(nn.Module):
    """What one language pack adds to the frozen text tower. This class adds nothing: it is the base's own path.

    A subclass overrides the places it needs. The tower calls them in this order: :meth:`embed` once, then
    for every block ``k`` (from 0) :meth:`after_block` on the block's output. The last block computes only the
    pooled position where that is exact, so there ``T`` may be 1: what acts after a block must act on each
    position by itself.
    """

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up token ids (B, T) in the base's table (V, W), giving (B, T, W); positions are added later."""
        return F.embedding(ids, table)

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        """Return what follows block ``k``, given its output (B, T, W)."""
        return hidden
