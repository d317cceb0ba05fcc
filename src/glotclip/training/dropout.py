"""Dropout in the text tower while a language is learnt.

PECT trains with its base's own dropout on, which makes two readings of one text differ: so even a text aligned with
itself has a loss (§2). Here what each half of every block adds to the residual stream is dropped, in both the caption
and its partner; XLM-R also drops embeddings and attention weights, which this does not.

What is dropped is a function of the batch's number, not of how many were drawn before: a run that was killed goes on
with the same masks.
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
from glotclip.models.hooks import BlockHooks, TextHooks, WrappedHooks


@dataclass(frozen=True)
class Noise:
    """What is dropped in one batch: a share (0 to 1) of the values, and the seed that says which."""

    share: float
    seed: int


def noise_of(share: float, *facts: int) -> Noise | None:
    """The noise of a batch that these whole numbers stand for; None where nothing is dropped."""
    return Noise(share, int(np.random.SeedSequence(facts).generate_state(1)[0])) if share else None


class Dropping(WrappedHooks):
    """A way on which a share of what attention and MLP give is dropped, and the rest made larger to match.

    Args:
        inner: the way itself.
        share: 0 to 1.
    """

    def __init__(self, inner: TextHooks, share: float) -> None:
        super().__init__(inner)
        self.share = share

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        """The same of the way that these texts (B, E) take."""
        return Dropping(self.inner.condition_on(features), self.share)

    def block_hooks(self, k: int) -> BlockHooks | None:
        """What the way itself does within block ``k``, then dropout."""
        drop = partial(F.dropout, p=self.share)
        inner = self.inner.block_hooks(k)
        dropped = BlockHooks(after_attention=drop, after_mlp=drop)
        return dropped if inner is None else merge_hooks([inner, dropped])


def noisy(way: TextHooks, noise: Noise | None) -> TextHooks:
    """The way with dropout, or the way itself where nothing is dropped."""
    return way if noise is None else Dropping(way, noise.share)


@contextmanager
def drawn(noise: Noise | None, device: torch.device) -> Iterator[None]:
    """Draw masks from the noise's seed; the global generator is afterwards as it was."""
    if noise is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda"):
        torch.manual_seed(noise.seed)
        yield
