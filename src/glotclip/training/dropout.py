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

from glotclip.methods.stack import ModuleStack
from glotclip.models.hooks import BlockHooks, TextHooks


@dataclass(frozen=True)
class DropoutSeed:
    """Dropout of one batch: its rate (0 to 1), and the seed of its masks."""

    rate: float
    seed: int


def dropout_seed(rate: float, *numbers: int) -> DropoutSeed | None:
    """The dropout of the batch that these whole numbers stand for; None where nothing is dropped."""
    return DropoutSeed(rate, int(np.random.SeedSequence(numbers).generate_state(1)[0])) if rate else None


class DropoutHooks(TextHooks):
    """Dropout after attention and MLP of every block.

    Args:
        rate: 0 to 1.
    """

    in_probe = False

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def block_hooks(self, k: int) -> BlockHooks:
        """The same in every block."""
        drop = partial(F.dropout, p=self.rate)
        return BlockHooks(after_attention=drop, after_mlp=drop)


def with_dropout(stack: ModuleStack, dropout: DropoutSeed | None) -> ModuleStack:
    """A stack with dropout behind its modules, or as it is where nothing is dropped."""
    return stack if dropout is None else ModuleStack([*stack.layers, DropoutHooks(dropout.rate)])


@contextmanager
def seeded(dropout: DropoutSeed | None, device: torch.device) -> Iterator[None]:
    """Draw masks from the batch's seed; the global generator is afterwards as it was."""
    if dropout is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda"):
        torch.manual_seed(dropout.seed)
        yield
