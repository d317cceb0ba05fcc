"""Dropout in the text tower while a language is learnt.

PECT trains with its base's own dropout on, which makes two readings of one text differ: so even a text aligned with
itself has a loss (§2). Here the outputs of attention and MLP of every block are dropped before they are added to the
residual stream, for a caption and for its target text; XLM-R also drops embeddings and attention weights, which this
does not.

The masks are a function of the batch's number, not of how many were drawn before: a run that was killed goes on with
the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from glotclip.methods.stack import merge_hooks
from glotclip.models.pathway import BlockHooks, TextHooks, WrappedHooks


@dataclass(frozen=True)
class DropoutSeed:
    """Dropout of one batch: its rate (0 to 1), and the seed of its masks."""

    rate: float
    seed: int


def dropout_seed(rate: float, *numbers: int) -> DropoutSeed | None:
    """The dropout of the batch that these whole numbers stand for; None where nothing is dropped."""
    return DropoutSeed(rate, int(np.random.SeedSequence(numbers).generate_state(1)[0])) if rate else None


class DropoutHooks(WrappedHooks):
    """Other hooks, with dropout after attention and MLP.

    Args:
        inner: the other hooks.
        rate: 0 to 1.
    """

    def __init__(self, inner: TextHooks, rate: float) -> None:
        super().__init__(inner)
        self.rate = rate

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        """The same around the inner hooks for texts of these features (B, E)."""
        return DropoutHooks(self.inner.condition_on(features), self.rate)

    def block_hooks(self, k: int) -> BlockHooks | None:
        """The inner hooks of block ``k``, then dropout."""
        drop = partial(F.dropout, p=self.rate)
        inner = self.inner.block_hooks(k)
        dropped = BlockHooks(after_attention=drop, after_mlp=drop)
        return dropped if inner is None else merge_hooks([inner, dropped])


def with_dropout(hooks: TextHooks, dropout: DropoutSeed | None) -> TextHooks:
    """The hooks with dropout, or as they are where nothing is dropped."""
    return hooks if dropout is None else DropoutHooks(hooks, dropout.rate)


@contextmanager
def seeded(dropout: DropoutSeed | None, device: torch.device) -> Iterator[None]:
    """Draw masks from the batch's seed; the global generator is afterwards as it was."""
    if dropout is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda"):
        torch.manual_seed(dropout.seed)
        yield
