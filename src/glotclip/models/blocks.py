"""The pre-norm transformer block that both towers are built of.

Shapes: S tokens of all sequences laid end to end, W width, H heads, D = W / H, G sequences of a group, T its length.

Tokens are *packed*: linear maps, norms and activations run over (S, W) without a single padded row, and attention
runs group by group over sequences of equal length. Most of a small tower's time in bf16 is elementwise work, so the
number of passes over the activations is what counts here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.models.attention import Group, attend, attend_at

Activation = Literal["quick_gelu", "gelu", "gelu_tanh"]

# quick_gelu(x) = x · sigmoid(1.702 x) = silu(1.702 x) / 1.702: with the factors moved into the two linear maps
# around it, one pass over the widest activation is left instead of three.
QUICK_GELU_SCALE = 1.702


class Weights(NamedTuple):
    """A block's weights in the dtype it computes in; ``scale`` is still to be applied around the activation."""

    norm1: torch.Tensor
    norm1_bias: torch.Tensor
    qkv: torch.Tensor
    qkv_bias: torch.Tensor
    out: torch.Tensor
    out_bias: torch.Tensor
    norm2: torch.Tensor
    norm2_bias: torch.Tensor
    up: torch.Tensor
    up_bias: torch.Tensor
    down: torch.Tensor
    down_bias: torch.Tensor
    scale: float


class Block(nn.Module):
    """Attention and MLP, each behind a layer norm and added to the residual stream."""

    def __init__(self, width: int, heads: int, mlp_width: int, activation: Activation, norm_eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.activation: Activation = activation
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)
        self.up = nn.Linear(width, mlp_width)
        self.down = nn.Linear(mlp_width, width)
        self._low: tuple[object, Weights] | None = None

    def weights(self, dtype: torch.dtype) -> Weights:
        """Return the weights for computing in ``dtype``; a frozen block casts them once and keeps the copy."""
        own = (
            self.norm1.weight, self.norm1.bias, self.qkv.weight, self.qkv.bias, self.out.weight, self.out.bias,
            self.norm2.weight, self.norm2.bias, self.up.weight, self.up.bias, self.down.weight, self.down.bias,
        )  # fmt: skip
        scale = QUICK_GELU_SCALE if self.activation == "quick_gelu" else 1.0
        if dtype == own[0].dtype:
            return Weights(*own, scale=scale)
        if any(weight.requires_grad or weight.is_inference() for weight in own):
            return _cast(own, dtype, scale)
        state = (dtype, *((weight.data_ptr(), weight._version) for weight in own))
        if self._low is None or self._low[0] != state:
            with torch.inference_mode(False), torch.no_grad():
                self._low = (state, _cast(own, dtype, scale))
        return self._low[1]

    def forward(
        self, hidden: torch.Tensor, groups: Sequence[Group], causal: bool, dtype: torch.dtype
    ) -> torch.Tensor:
        """Run the block on every token.

        Args:
            hidden: residual stream (S, W).
            groups: how the S tokens divide into sequences.
            causal: whether a token sees only those before it.
            dtype: what linear maps and attention compute in.

        Returns:
            The residual stream after the block (S, W).
        """
        w = self.weights(dtype)
        normed = self._norm(self.norm1, hidden, w.norm1, w.norm1_bias, dtype)
        attended = attend(F.linear(normed, w.qkv, w.qkv_bias), groups, self.heads, causal)
        hidden = _add(hidden, F.linear(attended, w.out, w.out_bias))
        return self._mlp(hidden, w, dtype)

    def pooled(
        self, hidden: torch.Tensor, groups: Sequence[Group], rows: torch.Tensor, causal: bool, dtype: torch.dtype
    ) -> torch.Tensor:
        """Run the block for one token of each sequence; what the others would have become is not computed.

        Args:
            hidden: residual stream (S, W).
            groups: as in :meth:`forward`.
            rows: which of the S tokens, one per sequence in the order of the groups (B,); with ``causal`` the
                sequences end there, without it they are as long as their group.
            causal: as in :meth:`forward`.
            dtype: as in :meth:`forward`.

        Returns:
            The residual stream of those tokens after the block (B, W).
        """
        w = self.weights(dtype)
        width = hidden.shape[-1]
        normed = self._norm(self.norm1, hidden, w.norm1, w.norm1_bias, dtype)
        query = F.linear(normed.index_select(0, rows), w.qkv[:width], w.qkv_bias[:width])
        keys_values = F.linear(normed, w.qkv[width:], w.qkv_bias[width:])
        attended = attend_at(query, keys_values, groups, rows if causal else None, self.heads)
        hidden = _add(hidden.index_select(0, rows), F.linear(attended, w.out, w.out_bias))
        return self._mlp(hidden, w, dtype)

    def _mlp(self, hidden: torch.Tensor, w: Weights, dtype: torch.dtype) -> torch.Tensor:
        normed = self._norm(self.norm2, hidden, w.norm2, w.norm2_bias, dtype)
        inner = _scaled_linear(normed, w.up, w.up_bias, w.scale, w.scale)
        if self.activation == "quick_gelu":
            inner = F.silu(inner, inplace=not inner.requires_grad)
        else:
            inner = F.gelu(inner, approximate="tanh" if self.activation == "gelu_tanh" else "none")
        return _add(hidden, _scaled_linear(inner, w.down, w.down_bias, 1 / w.scale, 1.0))

    def _norm(
        self, norm: nn.LayerNorm, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype
    ) -> torch.Tensor:
        return F.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps).to(dtype)


def _cast(own: Sequence[torch.Tensor], dtype: torch.dtype, scale: float) -> Weights:
    """Cast the linear maps, with the activation's factors moved into them; norms stay in full precision."""
    up, up_bias, down = own[8] * scale, own[9] * scale, own[10] / scale
    return Weights(
        own[0], own[1], own[2].to(dtype), own[3].to(dtype), own[4].to(dtype), own[5].to(dtype),
        own[6], own[7], up.to(dtype), up_bias.to(dtype), down.to(dtype), own[11].to(dtype), scale=1.0,
    )  # fmt: skip


def _scaled_linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, alpha: float, beta: float
) -> torch.Tensor:
    """Return alpha · x Wᵀ + beta · bias; the factors cost nothing inside the matrix product."""
    if alpha == beta == 1.0:
        return F.linear(x, weight, bias)
    return torch.addmm(bias, x, weight.t(), alpha=alpha, beta=beta)


def _add(hidden: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
    """Add to the residual stream, in place where no gradient needs the old one."""
    if hidden.requires_grad or update.requires_grad:
        return hidden + update
    return hidden.add_(update)
