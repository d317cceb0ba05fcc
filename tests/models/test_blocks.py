"""A block's weights: replaced by name, cast to low precision once, and followed when they change."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.models.blocks import NAMES, Block

W, INNER = 16, 32
BF16 = torch.bfloat16


@pytest.fixture
def block() -> Block:
    torch.manual_seed(0)
    return Block(W, 2, INNER, "quick_gelu", 1e-5).eval().requires_grad_(False)


def test_a_frozen_block_casts_its_weights_once(block: Block) -> None:
    first = block.weights(BF16)
    assert first.up.dtype == BF16 and first.norm1.dtype == torch.float32
    assert all(mine is theirs for mine, theirs in zip(block.weights(BF16)[:-1], first[:-1], strict=True))
    block.up.weight.mul_(2)
    again = block.weights(BF16)
    assert torch.equal(again.up, 2 * first.up)


def test_a_block_that_trains_casts_each_time(block: Block) -> None:
    block.requires_grad_(True)
    assert block.weights(BF16).up is not block.weights(BF16).up
    assert block.weights(BF16).up.requires_grad


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("norm")])
def test_a_frozen_replacement_is_cast_once_and_followed(block: Block, name: str) -> None:
    replacement = getattr(block.weights(torch.float32), name) * 1.5
    with torch.inference_mode():
        first = getattr(block.weights(BF16, {name: replacement}), name)
        assert getattr(block.weights(BF16, {name: replacement}), name) is first
    replacement.mul_(2)
    with torch.inference_mode():
        again = getattr(block.weights(BF16, {name: replacement}), name)
        assert torch.equal(again, 2 * first)
    cast = weakref.ref(again)
    del first, again, replacement
    gc.collect()
    assert cast() is None, "casts outlive the tensors they were made from"


def test_a_replacement_that_trains_takes_gradients(block: Block) -> None:
    replacement = (block.up.weight * 1.5).requires_grad_(True)
    block.weights(BF16, {"up": replacement}).up.float().sum().backward()  # type: ignore[no-untyped-call]
    assert replacement.grad is not None and bool(replacement.grad.abs().sum() > 0)


def test_wrong_names_and_shapes_are_named(block: Block) -> None:
    with pytest.raises(ConfigError, match=r"cannot be named 'upp'"):
        block.weights(BF16, {"upp": torch.zeros(INNER, W)})
    with pytest.raises(ConfigError, match=r"replace up \(32, 16\) by \(16, 16\)"):
        block.weights(BF16, {"up": torch.zeros(W, W)})
