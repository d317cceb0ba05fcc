"""LoRA's formula, its dense form, and its start."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import ConfigError
from glotclip.methods.lora import TARGETS, Lora, LoraIngredient, LowRank
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from tests.methods.conftest import MakeLesson

    from glotclip.models.dual_encoder import DualEncoder

SMALL = TextConfig(width=8, layers=1, heads=2, mlp_width=12, vocab_size=20, context_length=9, embed_dim=4)


@given(st.integers(1, 5), st.floats(0.5, 32), st.sets(st.sampled_from(TARGETS), min_size=1), st.integers(0, 99))
def test_low_rank_and_dense_forms_agree(rank: int, alpha: float, targets: set[str], seed: int) -> None:
    part = Lora(SMALL, sorted(targets), rank, alpha)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.normal_(generator=generator)
        deltas, dense = part.block_hooks(0).deltas, part.merged_delta(0)
        assert set(deltas) == targets
        assert set(dense) == {"qkv" if name in "qkv" else name for name in targets}
        for name in targets:
            x = torch.randn(3, 12 if name == "down" else 8, generator=generator)
            module = part.low_rank(0)[name]
            expected = alpha / rank * torch.stack([module.b @ (module.a @ row) for row in x])
            torch.testing.assert_close(deltas[name](x), expected, atol=1e-4, rtol=1e-4)
            matrix = dense["qkv"].view(3, 8, 8)["qkv".index(name)] if name in "qkv" else dense[name]
            torch.testing.assert_close(x @ matrix.T, expected, atol=1e-4, rtol=1e-4)
        if "qkv" in dense:
            untouched = [
                rows for name, rows in zip("qkv", dense["qkv"].view(3, 8, 8), strict=True) if name not in targets
            ]
            assert not any(bool(rows.any()) for rows in untouched)


def test_the_product_is_computed_in_the_blocks_dtype() -> None:
    module = LowRank(8, 6, 2, 1.0)
    torch.nn.init.ones_(module.a)
    torch.nn.init.ones_(module.b)
    assert module(torch.ones(3, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_a_is_drawn_as_kaiming_and_b_is_zero(base: DualEncoder, make_lesson: MakeLesson) -> None:
    lesson = make_lesson(base, [LoraIngredient(targets=TARGETS, rank=30)])
    (part,) = lesson.stacks["de"].parts
    assert isinstance(part, Lora)
    for name, module in part.low_rank(1).items():
        bound = 1 / math.sqrt(64 if name == "down" else 32)  # gain √(2 / (1 + 5)) · √(3 / in)
        assert 0.95 * bound < float(module.a.detach().abs().max()) <= bound
        assert not module.b.detach().any()


@pytest.mark.parametrize(
    ("targets", "rank", "alpha"),
    [
        ((), 8, 8.0),
        (("q", "q"), 8, 8.0),
        (("query",), 8, 8.0),
        (("q",), 0, 8.0),
        (("q",), 8, 0.0),
        (("q",), 8, math.nan),
    ],
)
def test_senseless_settings_are_refused(targets: tuple[str, ...], rank: int, alpha: float) -> None:
    with pytest.raises(ConfigError, match="LoRA of rank"):
        Lora(SMALL, targets, rank, alpha)
