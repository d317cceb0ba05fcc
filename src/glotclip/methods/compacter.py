"""Compacter (Karimi Mahabadi et al. 2021): adapters whose maps are sums of Kronecker products of low rank.

Shapes: S tokens, W width, n terms of the sum, R rank, I and O a map's input and output width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.methods.adapter import SITES
from glotclip.methods.lesson import Context
from glotclip.methods.module import ModuleIngredient, ModulePart
from glotclip.models.pathway import Inside
from glotclip.models.text_tower import TextConfig


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


class Site(nn.Module):
    """``x + H_up gelu(H_down x + b_down) + b_up``, on what is about to be added to the residual stream."""

    def __init__(self, width: int, size: int, terms: int, rank: int) -> None:
        super().__init__()
        self.down = KroneckerLinear(width, size, terms, rank)
        self.up = KroneckerLinear(size, width, terms, rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(S, W) → (S, W)."""
        added: torch.Tensor = self.up(F.gelu(self.down(x), approximate="tanh"))
        return x + added


class Compacter(ModulePart):
    """Two Kronecker bottlenecks a block.

    Args:
        text: geometry of the tower.
        reduction: W over the bottlenecks' width.
        terms: n.
        rank: R.
    """

    kind: ClassVar[str] = "compacter"

    def __init__(self, text: TextConfig, reduction: int, terms: int, rank: int) -> None:
        super().__init__()
        if reduction < 1:
            raise ConfigError(f"a reduction by {reduction}", hint="use 1 or more")
        self.sizes = {"reduction": reduction, "terms": terms, "rank": rank}
        size = text.width // reduction
        self.blocks = nn.ModuleList(
            nn.ModuleDict({site: Site(text.width, size, terms, rank) for site in SITES}) for _ in range(text.layers)
        )

    def inside(self, k: int) -> Inside:
        """Block ``k``'s two bottlenecks."""
        block = self.blocks[k]
        assert isinstance(block, nn.ModuleDict)
        return Inside(after_attention=block["attention"], after_mlp=block["mlp"])

    def description(self) -> dict[str, Any]:
        """Reduction, terms and rank."""
        return dict(self.sizes)


@dataclass(frozen=True)
class CompacterIngredient(ModuleIngredient):
    """How a method uses compacters.

    Args:
        shared: one set for all languages, or one for each (the paper).
        reduction: the tower's width over the bottleneck's (the paper: 16).
        terms: Kronecker products in each map (the paper: 4); must divide width and bottleneck.
        rank: of their right factors (the paper: 1).
        std: standard deviation of the entries of H at the start, as the adapter has it; biases are zero.
    """

    kind: ClassVar[str] = Compacter.kind
    shared: bool = False
    reduction: int = 16
    terms: int = 4
    rank: int = 1
    std: float = 0.01

    def fresh(self, context: Context) -> Compacter:
        """Draw compacters for every block."""
        part = Compacter(context.base.text.config, self.reduction, self.terms, self.rank)
        for module in part.modules():
            if isinstance(module, KroneckerLinear):
                module.draw(self.std, context.generator)
        return part
