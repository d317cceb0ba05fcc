from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.tokenizer import ClipTokenizer
from glotclip.models.tokens import Tokens

Make = Callable[[], DualEncoder]

TEXTS = ["a dog runs", "cat", "two dogs and a cat on the green grass, it's sunny", "", "a man", "the dog's red car"]


def test_texts_are_sorted_inside_and_come_back_in_order(make_encoder: Make) -> None:
    encoder = make_encoder()
    tokens = encoder.tokenizer.encode(TEXTS * 3)
    features = encoder.encode_tokens(tokens)
    assert features.shape == (18, 24)
    assert features.dtype == torch.float32
    ids, lengths = tokens.padded(np.arange(18), encoder.tokenizer.pad_id)
    with torch.no_grad():
        plain = encoder.text(torch.from_numpy(ids), torch.from_numpy(lengths))
    torch.testing.assert_close(features, plain, atol=1e-5, rtol=0)
    for budget in (1, 7, 40):
        torch.testing.assert_close(encoder.encode_tokens(tokens, batch_tokens=budget), plain, atol=1e-5, rtol=0)


def test_low_precision_points_the_same_way(make_encoder: Make) -> None:
    encoder = make_encoder()
    tokens = encoder.tokenizer.encode(TEXTS)
    full = encoder.encode_tokens(tokens)
    low = encoder.encode_tokens(tokens, precision="bf16")
    assert low.dtype == torch.float32
    assert torch.cosine_similarity(full, low).min() > 0.999
    assert not torch.equal(full, low)
    with pytest.raises(ConfigError, match="precision"):
        encoder.encode_tokens(tokens, precision="fp8")  # type: ignore[arg-type]


def test_nothing_to_encode(make_encoder: Make) -> None:
    encoder = make_encoder()
    assert encoder.encode_tokens(Tokens.from_lists([])).shape == (0, 24)
    assert encoder.encode_pixels(np.zeros((0, 3, 32, 32), np.float32)).shape == (0, 24)


def test_pixels_in_batches(make_encoder: Make) -> None:
    encoder = make_encoder()
    pixels = np.random.default_rng(0).standard_normal((37, 3, 32, 32), dtype=np.float32)
    features = encoder.encode_pixels(pixels)
    torch.testing.assert_close(features[20:23], encoder.encode_pixels(pixels[20:23]), atol=1e-5, rtol=0)
    assert torch.cosine_similarity(features, encoder.encode_pixels(pixels, precision="bf16")).min() > 0.99


def test_fingerprint_knows_every_part(make_encoder: Make) -> None:
    first = make_encoder()
    seen = {first.fingerprint}
    assert make_encoder().fingerprint in seen
    for name in ("text", "vision"):
        changed = make_encoder()
        before = changed.fingerprint
        next(getattr(changed, name).parameters()).data[0, 0] += 1e-3
        with torch.no_grad():
            next(getattr(changed, name).parameters())[0, 0].add_(1e-3)
        assert changed.fingerprint != before
        seen.add(changed.fingerprint)
    sized = make_encoder()
    sized.preprocess = replace(sized.preprocess, resize="squash")
    seen.add(sized.fingerprint)
    worded = make_encoder()
    old = worded.tokenizer
    assert isinstance(old, ClipTokenizer)
    worded.tokenizer = ClipTokenizer(old.vocabulary, old.merges[:-1], context_length=16)
    seen.add(worded.fingerprint)
    assert len(seen) == 5


def test_rounding_is_kept_in_float32(make_encoder: Make) -> None:
    encoder = make_encoder()
    before = encoder.fingerprint
    encoder.round_to(torch.bfloat16)
    assert encoder.fingerprint != before
    assert encoder.text.table.dtype == torch.float32
    assert torch.equal(encoder.text.table, encoder.text.table.bfloat16().float())


def test_towers_are_frozen(make_encoder: Make) -> None:
    encoder = make_encoder()
    assert not any(parameter.requires_grad for parameter in encoder.text.parameters())
    assert not encoder.text.training


def test_parts_that_do_not_fit(make_encoder: Make, tokenizer: ClipTokenizer) -> None:
    a = make_encoder()
    a.vision.embed_dim = 25
    with pytest.raises(ConfigError, match="25"):
        DualEncoder("x", a.text, a.vision, tokenizer, a.preprocess, 1.0)
    b = make_encoder()
    longer = ClipTokenizer(tokenizer.vocabulary, tokenizer.merges, context_length=77)
    with pytest.raises(ConfigError, match="77 places"):
        DualEncoder("x", b.text, b.vision, longer, b.preprocess, 1.0)


def test_text_weights_are_all_of_the_text_tower(make_encoder: Callable[[], DualEncoder]) -> None:
    encoder = make_encoder()
    stored = sum(tensor.numel() for name, tensor in encoder.state().items() if name.startswith("text."))
    assert encoder.text_weights == stored > 0
