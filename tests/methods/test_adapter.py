"""The adapter's formula and start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn import functional as F

from glotclip.methods.adapter import SITES, Adapter, AdapterIngredient
from glotclip.methods.method import method_named

if TYPE_CHECKING:
    from tests.methods.conftest import MakeLesson

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder


def test_two_bottlenecks_a_block_with_the_residual_inside(
    base: DualEncoder, make_lesson: MakeLesson, stir: Callable[[TrainingTask], None]
) -> None:
    lesson = make_lesson(base, [AdapterIngredient(bottleneck=5)])
    stir(lesson)
    (part,) = lesson.stacks["de"].parts
    assert isinstance(part, Adapter)
    weights, x = part.tensors(), torch.randn(7, 32, generator=torch.Generator().manual_seed(0))
    for k in range(2):
        block_hooks = part.block_hooks(k)
        assert not block_hooks.weights
        assert not block_hooks.deltas
        for site, act in zip(SITES, (block_hooks.after_attention, block_hooks.after_mlp), strict=True):
            w = {name: weights[f"blocks.{k}.{site}.{name}"] for name in ("down", "down_bias", "up", "up_bias")}
            inner = F.gelu(x @ w["down"].T + w["down_bias"], approximate="tanh")
            assert act is not None
            torch.testing.assert_close(act(x), x + inner @ w["up"].T + w["up_bias"])
            assert act(x.bfloat16()).dtype == torch.bfloat16


def test_the_start(base: DualEncoder, make_lesson: MakeLesson) -> None:
    (part,) = make_lesson(base, [AdapterIngredient(bottleneck=100, std=0.03)]).stacks["de"].parts
    for name, tensor in part.named_parameters():
        if name.endswith("bias"):
            assert not tensor.any()
        else:
            assert float(tensor.detach().std()) == pytest.approx(0.03, rel=0.1)


def test_the_activation_is_a_setting_and_gelu_the_default(base: DualEncoder, make_lesson: MakeLesson) -> None:
    """PECT's library has GELU for adapters, by the same way by which it has ReLU for compacters."""
    method = method_named("adapter")
    chosen = [each for each in method.ingredients(method.settings()) if isinstance(each, AdapterIngredient)]
    assert [each.activation for each in chosen] == ["gelu_tanh"]
    (part,) = make_lesson(base, [AdapterIngredient(bottleneck=5, activation="relu")]).stacks["de"].parts
    assert isinstance(part, Adapter)
    assert Adapter.restore(base, part.tensors(), part.description()).description() == part.description()
    assert part.description()["activation"] == "relu"
    assert Adapter.restore(base, part.tensors(), {"bottleneck": 5}).description()["activation"] == "gelu_tanh"
