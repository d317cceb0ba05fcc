"""Compacter (Karimi Mahabadi et al. 2021): adapters whose maps are sums of Kronecker products of low rank.

Shapes: S tokens, W width, n terms of the sum, R rank, I and O a map's input and output width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from glotclip.config import Settings
from glotclip.errors import ConfigError
from glotclip.methods.bottleneck import ACTIVATIONS, Activation
from glotclip.methods.module import TextModule, register_method
from glotclip.methods.settings import PECT
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask

STD = 0.01  # of a map's entries at an even start, as the adapter has it


class KroneckerLinear(nn.Module):
    """``y = x H + b`` with ``H = Σ_i A_i ⊗ (s_i t_iᵀ)`` (parameterised hypercomplex multiplication, PHM).

    Args:
        inputs: I, a multiple of ``terms``.
        outputs: O, a multiple of ``terms``.
        terms: n.
        rank: R.
    """

    def __init__(self, inputs: int, outputs: int, terms: int, rank: int) -> None:
        super().__init__()
        if min(inputs, outputs, terms, rank) < 1 or inputs % terms or outputs % terms:
            raise ConfigError(
                f"a map from {inputs} to {outputs} is no sum of {terms} Kronecker products of rank {rank}",
                hint="choose terms that divide the tower's width and the bottleneck",
            )
        self.rule = nn.Parameter(torch.empty(terms, terms, terms))  # A
        self.left = nn.Parameter(torch.empty(terms, inputs // terms, rank))  # s
        self.right = nn.Parameter(torch.empty(terms, rank, outputs // terms))  # t
        self.bias = nn.Parameter(torch.empty(outputs))

    def matrix(self) -> torch.Tensor:
        """H (I, O)."""
        small = self.left @ self.right  # (n, I/n, O/n)
        # H[(a, c), (b, d)] = Σ_i A_i[a, b] · (s_i t_iᵀ)[c, d]
        full = torch.einsum("iab,icd->acbd", self.rule, small)
        return full.reshape(full.shape[0] * full.shape[1], -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(S, I) → (S, O), in the dtype of ``x``."""
        return F.linear(x, self.matrix().t().to(x.dtype), self.bias.to(x.dtype))

    @torch.no_grad()
    def draw(self, std: float, generator: torch.Generator) -> None:
        """Factors as Glorot has it for their shapes, rules such that H's entries deviate by ``std``, no bias.

        Much smaller rules would leave the factors with gradients below Adam's ε, which then hardly move.
        """
        terms, rank = len(self.rule), self.left.shape[2]
        each = std / (terms * rank) ** 0.5  # of an entry of H, which is a sum of so many products
        for factor in (self.left, self.right):
            deviation = (2 / (factor.shape[1] + factor.shape[2])) ** 0.5
            factor.normal_(std=deviation, generator=generator)
            each /= deviation
        self.rule.normal_(std=each, generator=generator)
        self.bias.zero_()

    @torch.no_grad()
    def draw_as_reference(self, generator: torch.Generator) -> None:
        """As PECT's library does: factors Glorot-uniform, term by term, rules N(0, 0.01²), no bias.

        H's entries then deviate by less than a thousandth at its sizes, and the map hardly moves in few steps.
        """
        for factor in (self.left, self.right):
            bound = (6 / (factor.shape[1] + factor.shape[2])) ** 0.5
            factor.uniform_(-bound, bound, generator=generator)
        self.rule.normal_(std=0.01, generator=generator)
        self.bias.zero_()


class KroneckerBottleneck(nn.Module):
    """``x + H_up f(H_down x + b_down) + b_up``, on what is about to be added to the residual stream."""

    def __init__(self, width: int, size: int, terms: int, rank: int, activation: Activation) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.down = KroneckerLinear(width, size, terms, rank)
        self.up = KroneckerLinear(size, width, terms, rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(S, W) → (S, W)."""
        added: torch.Tensor = self.up(self.activation(self.down(x)))
        return x + added


@register_method("compacter", "two bottlenecks of Kronecker products (PECT)", defaults=PECT)
class Compacter(TextModule):
    """Two Kronecker bottlenecks a block."""

    class Config(Settings):
        """Bottlenecks made of Kronecker products."""

        reduction: int = Field(16, ge=1, description="the tower's width over the bottleneck's; the paper: 16")
        terms: int = Field(4, ge=1, description="Kronecker products in each map; the paper: 4")
        factor_rank: int = Field(1, ge=1, description="rank of their right factors; the paper: 1")
        activation: Activation = Field("relu", description="between the two maps; PECT: relu")
        start: Literal["even", "reference"] = Field(
            "even",
            description="'even': the maps' entries deviate by 0.01, as an adapter's; 'reference': drawn as PECT's "
            "library does, so small that few steps hardly move them",
        )

    stored_settings = ("reduction", "terms", "factor_rank", "activation")

    def __init__(self, text: TextConfig, config: Config) -> None:
        super().__init__(text, config)
        sizes = (text.width, text.width // config.reduction, config.terms, config.factor_rank)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({place: KroneckerBottleneck(*sizes, config.activation) for place in ("attention", "mlp")})
            for _ in range(text.layers)
        )

    def init_weights(self, task: TrainingTask) -> None:
        """Draw every map as ``start`` says."""
        for module in self.modules():
            if isinstance(module, KroneckerLinear) and self.config.start == "reference":
                module.draw_as_reference(task.generator)
            elif isinstance(module, KroneckerLinear):
                module.draw(STD, task.generator)

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s two bottlenecks."""
        block = cast(nn.ModuleDict, self.blocks[k])
        return BlockHooks(after_attention=block["attention"], after_mlp=block["mlp"])
