"""The bottleneck that acquirers and adapters are made of.

Shapes: W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

Activation = Literal["relu", "gelu", "gelu_tanh"]
ACTIVATIONS: Mapping[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
}


class Bottleneck(nn.Module):
    """``W_up f(W_down x + b_down) + b_up``.

    Args:
        width: W.
        size: width of the bottleneck.
        activation: f.
        residual: whether x is added.
    """

    def __init__(self, width: int, size: int, activation: Activation, *, residual: bool = False) -> None:
        super().__init__()
        self.activation, self.residual = ACTIVATIONS[activation], residual
        self.down = nn.Parameter(torch.empty(size, width))
        self.down_bias = nn.Parameter(torch.empty(size))
        self.up = nn.Parameter(torch.empty(width, size))
        self.up_bias = nn.Parameter(torch.empty(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, W) → (…, W), in the dtype of ``x``."""
        hidden = self.activation(F.linear(x, self.down.to(x.dtype), self.down_bias.to(x.dtype)))
        added = F.linear(hidden, self.up.to(x.dtype), self.up_bias.to(x.dtype))
        return x + added if self.residual else added
