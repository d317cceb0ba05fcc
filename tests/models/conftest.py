"""Small models and vocabularies that several test files of this folder share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
CORPUS = (
    "a photo of a dog running over the green grass", "two cats and a dog, isn't it?", "it's a sunny day!",
    "ein hund läuft über das grüne gras", "zwei hunde und eine katze", "der hund und die frau 12 34 5 67 890",
    "狗和猫 在草地上", "ο σκύλος τρέχει στο γρασίδι", "кошка и собака", "x y z w q j k v b p f m c n s u ö ß é",
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


@pytest.fixture(scope="session")
def gemma_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A BPE with bytes to fall back to, as Gemma's."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    backend: Any = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, show_progress=False)
    backend.train_from_iterator(CORPUS * 3, trainer)
    model = json.loads(backend.to_str())["model"]
    return model["vocab"], [(left, right) for left, right in model["merges"]]


@pytest.fixture(scope="session")
def spiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small unigram model of SentencePiece, with SigLIP's special pieces."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("spiece")
    (folder / "corpus.txt").write_text("\n".join(CORPUS * 4), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "corpus.txt"), model_prefix=str(folder / "spiece"), vocab_size=150, model_type="unigram",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return folder / "spiece.model"


@pytest.fixture(scope="session")
def siglip_tokenizer() -> Callable[..., Any]:
    """Make transformers' SigLIP tokenizer; it asks for protobuf, which it needs for other models only."""
    from unittest.mock import patch

    from transformers.models.siglip import tokenization_siglip

    def make(file: Path, **settings: Any) -> Any:
        with patch.object(tokenization_siglip, "requires_backends", lambda *_: None):
            return tokenization_siglip.SiglipTokenizer(str(file), **settings)

    return make
