"""The adapter's formula and start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn import functional as F

from glotclip.methods.adapter import Adapter
from glotclip.methods.method import method_named

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder


def test_two_bottlenecks_a_block_with_the_residual_inside(
    base: DualEncoder, make_task: MakeTask, stir: Callable[[TrainingTask], None]
) -> None:
    task = make_task(base, ["adapter"])
    stir(task)
    (module,) = task.stacks["de"].text_modules
    weights, x = module.tensors(), torch.randn(7, 32, generator=torch.Generator().manual_seed(0))
    for k in range(2):
        hooks = module.block_hooks(k)
        assert hooks is not None
        assert not hooks.weights
        assert not hooks.deltas
        for place, act in (("attention", hooks.after_attention), ("mlp", hooks.after_mlp)):
            w = {name: weights[f"blocks.{k}.{place}.{name}"] for name in ("down", "down_bias", "up", "up_bias")}
            inner = F.gelu(x @ w["down"].T + w["down_bias"], approximate="tanh")
            assert act is not None
            torch.testing.assert_close(act(x), x + inner @ w["up"].T + w["up_bias"])
            assert act(x.bfloat16()).dtype == torch.bfloat16


def test_the_start(base: DualEncoder, make_task: MakeTask) -> None:
    (module,) = make_task(base, ["adapter"], bottleneck=100, adapter_std=0.03).stacks["de"].text_modules
    for name, tensor in module.named_parameters():
        if name.endswith("bias"):
            assert not tensor.any()
        else:
            assert float(tensor.detach().std()) == pytest.approx(0.03, rel=0.1)


def test_the_activation_is_a_setting_and_gelu_the_default(base: DualEncoder, make_task: MakeTask) -> None:
    """PECT's library has GELU for adapters, in the same place in which it has ReLU for compacters."""
    assert method_named("adapter").settings.model_fields["activation"].default == "gelu_tanh"
    (module,) = make_task(base, ["adapter"], activation="relu").stacks["de"].text_modules
    assert module.description() == {"bottleneck": 5, "activation": "relu"}
    restored = Adapter.restore(base, module.tensors(), module.description())
    assert restored.description() == module.description()
    x = torch.randn(7, 32)
    one, other = (each.block_hooks(0) for each in (module, restored))
    assert one is not None and other is not None and one.after_mlp and other.after_mlp
    assert torch.equal(one.after_mlp(x), other.after_mlp(x))
