"""Small models and vocabularies that several test files of this folder share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from glotclip.models import bpe
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokenizer import ClipTokenizer
from glotclip.models.vision_tower import VisionConfig, VisionTransformer

ENGLISH = (
    "a dog runs over the green grass", "two dogs and a cat", "it's a sunny day, isn't it?", "the man's red car",
    "they're playing with 12 balls!!", "a dog's life", "the woman and the dog", "cats don't run on the grass",
)  # fmt: skip


@pytest.fixture(scope="session")
def tokenizer() -> ClipTokenizer:
    """A CLIP tokenizer with all bytes and a few English merges, 16 places."""
    learnt = bpe.learn(ENGLISH * 3, 120, "clip")
    alphabet = list(bpe.byte_characters().values())
    tokens = dict.fromkeys([*alphabet, *(byte + bpe.END_OF_WORD for byte in alphabet), *learnt.tokens])
    vocabulary = {token: index for index, token in enumerate([*tokens, bpe.START, bpe.END])}
    return ClipTokenizer(vocabulary, learnt.merges, context_length=16)


@pytest.fixture
def make_encoder(tokenizer: ClipTokenizer) -> Callable[[], DualEncoder]:
    """Make a small CLIP with random weights, the same each time."""

    def make() -> DualEncoder:
        torch.manual_seed(0)
        text = TextConfig(
            width=32, layers=3, heads=2, mlp_width=64, vocab_size=tokenizer.vocab_size, context_length=16,
            embed_dim=24,
        )  # fmt: skip
        vision = VisionConfig(width=32, layers=2, heads=2, mlp_width=64, image_size=32, patch_size=8, embed_dim=24)
        return DualEncoder(
            "small", TextTower(text), VisionTransformer(vision), tokenizer, Preprocess(size=32), logit_scale=100.0
        )

    return make
