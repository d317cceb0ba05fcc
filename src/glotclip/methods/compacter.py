"""Compacter (Karimi Mahabadi et al. 2021): adapters whose maps are sums of Kronecker products of low rank.

Shapes: S tokens, W width, n terms of the sum, R rank, I and O a map's input and output width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.methods.adapter import SITES
from glotclip.methods.module import Activation, ModuleIngredient, ModulePart, activation_named
from glotclip.methods.task import Context
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig

Start = Literal["even", "reference"]


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


class Site(nn.Module):
    """``x + H_up f(H_down x + b_down) + b_up``, on what is about to be added to the residual stream."""

    def __init__(self, width: int, size: int, terms: int, rank: int, activation: Activation) -> None:
        super().__init__()
        self.activation = activation_named(activation)
        self.down = KroneckerLinear(width, size, terms, rank)
        self.up = KroneckerLinear(size, width, terms, rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(S, W) → (S, W)."""
        added: torch.Tensor = self.up(self.activation(self.down(x)))
        return x + added


class Compacter(ModulePart):
    """Two Kronecker bottlenecks a block.

    Args:
        text: geometry of the tower.
        reduction: W over the bottlenecks' width.
        terms: n.
        rank: R.
        activation: f; a pack that does not say was made with GELU, before there was a choice.
    """

    kind: ClassVar[str] = "compacter"

    def __init__(
        self, text: TextConfig, reduction: int, terms: int, rank: int, activation: Activation = "gelu_tanh"
    ) -> None:
        super().__init__()
        if reduction < 1:
            raise ConfigError(f"a reduction by {reduction}", hint="use 1 or more")
        self.described = {"reduction": reduction, "terms": terms, "rank": rank, "activation": activation}
        size = text.width // reduction
        self.blocks = nn.ModuleList(
            nn.ModuleDict({site: Site(text.width, size, terms, rank, activation) for site in SITES})
            for _ in range(text.layers)
        )

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s two bottlenecks."""
        block = self.blocks[k]
        assert isinstance(block, nn.ModuleDict)
        return BlockHooks(after_attention=block["attention"], after_mlp=block["mlp"])

    def description(self) -> dict[str, Any]:
        """Reduction, terms, rank and activation."""
        return dict(self.described)


@dataclass(frozen=True)
class CompacterIngredient(ModuleIngredient):
    """How a method uses compacters.

    Args:
        shared: one set for all languages, or one for each (the paper).
        reduction: the tower's width over the bottleneck's (the paper: 16).
        terms: Kronecker products in each map (the paper: 4); must divide width and bottleneck.
        rank: of their right factors (the paper: 1).
        activation: between the two maps (PECT's library, by the way PECT calls it: ReLU).
        start: "even", H's entries deviate by ``std``; "reference", drawn as PECT's library draws them.
        std: standard deviation of the entries of H at an even start, as the adapter has it; biases are zero.
    """

    kind: ClassVar[str] = Compacter.kind
    shared: bool = False
    reduction: int = 16
    terms: int = 4
    rank: int = 1
    activation: Activation = "relu"
    start: Start = "even"
    std: float = 0.01

    def fresh(self, context: Context) -> Compacter:
        """Draw compacters for every block."""
        part = Compacter(context.base.text.config, self.reduction, self.terms, self.rank, self.activation)
        for module in part.modules():
            if isinstance(module, KroneckerLinear) and self.start == "reference":
                module.draw_as_reference(context.generator)
            elif isinstance(module, KroneckerLinear):
                module.draw(self.std, context.generator)
        return part
