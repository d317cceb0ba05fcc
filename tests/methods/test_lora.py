"""LoRA's formula, its dense form, and its start."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glotclip.config import settings_from
from glotclip.errors import ConfigError
from glotclip.methods.lora import TARGETS, Lora, LowRank, Target
from glotclip.methods.method import method_named
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.models.dual_encoder import DualEncoder

SMALL = TextConfig(width=8, layers=1, heads=2, mlp_width=12, vocab_size=20, context_length=9, embed_dim=4)


@given(st.integers(1, 5), st.floats(0.5, 32), st.sets(st.sampled_from(TARGETS), min_size=1), st.integers(0, 99))
def test_low_rank_and_dense_forms_agree(rank: int, alpha: float, targets: set[Target], seed: int) -> None:
    lora = Lora(SMALL, Lora.Config(targets=tuple(sorted(targets)), rank=rank, alpha=alpha))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in lora.parameters():
            parameter.normal_(generator=generator)
        deltas, dense = lora.block_hooks(0).deltas, lora.merged_delta(0)
        assert set(deltas) == targets
        assert set(dense) == {"qkv" if name in "qkv" else name for name in targets}
        for name in targets:
            x = torch.randn(3, 12 if name == "down" else 8, generator=generator)
            module = lora.low_rank(0)[name]
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


def test_a_is_drawn_as_kaiming_and_b_is_zero(base: DualEncoder, make_task: MakeTask) -> None:
    (lora,) = make_task(base, ["lora"], rank=30).stacks["de"].text_modules
    assert isinstance(lora, Lora)
    for name, module in lora.low_rank(1).items():
        bound = 1 / math.sqrt(64 if name == "down" else 32)  # gain √(2 / (1 + 5)) · √(3 / in)
        assert 0.95 * bound < float(module.a.detach().abs().max()) <= bound
        assert not module.b.detach().any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"targets": ()}, "name some of q, k, v, out, up, down, each once"),
        ({"targets": ("q", "q")}, "each once"),
        ({"targets": ("query",)}, "'q', 'k', 'v', 'out', 'up' or 'down'"),
        ({"rank": 0}, "greater than or equal to 1"),
        ({"alpha": 0.0}, "greater than 0"),
        ({"alpha": math.nan}, "less than inf"),
        ({"alpha": math.inf}, "less than inf"),
    ],
)
def test_senseless_settings_are_refused(wrong: dict[str, Any], message: str) -> None:
    for kind in (Lora.Config, method_named("lora").settings):
        with pytest.raises(ConfigError, match=message):
            settings_from(kind, wrong, where="a test")


def test_the_order_in_which_maps_are_named_does_not_matter() -> None:
    assert Lora.Config(targets=("down", "v", "q")).targets == ("q", "v", "down")
