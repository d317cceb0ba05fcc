"""The acquirer's formula, and its two ways to start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from glotclip.methods.acquirer import Acquirer
from glotclip.methods.method import method_named

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow


def acquirer_of(task: TrainingTask) -> Acquirer:
    (module,) = task.stacks["de"].text_modules
    assert isinstance(module, Acquirer)
    return module


def test_the_formula_position_by_position(
    base: DualEncoder, make_task: MakeTask, stir: Callable[[TrainingTask], None]
) -> None:
    task = make_task(base, ["acquirer"], bottleneck=6)
    stir(task)
    module, hidden = acquirer_of(task), torch.randn(1, 5, 32, generator=torch.Generator().manual_seed(0))
    weights = module.tensors()
    for k in range(2):
        down, down_bias, up, up_bias = (weights[f"blocks.{k}.{n}"] for n in ("down", "down_bias", "up", "up_bias"))
        got = module.after_block(k, hidden)
        for position in range(5):
            u = hidden[0, position]
            expected = u + up @ (down @ u + down_bias).clamp(min=0) + up_bias
            torch.testing.assert_close(got[0, position], expected)


def test_near_identity_has_zeros_on_the_way_up_only(base: DualEncoder, make_task: MakeTask) -> None:
    for name, tensor in acquirer_of(make_task(base, ["acquirer"])).tensors().items():
        assert bool(tensor.any()) is (".up" not in name)


def test_the_references_start_is_that_of_linear_layers(base: DualEncoder, make_task: MakeTask) -> None:
    weights = acquirer_of(make_task(base, ["acquirer"], near_identity=False, bottleneck=200)).tensors()
    for name, fan_in in (("down", 32), ("down_bias", 32), ("up", 200), ("up_bias", 200)):
        tensor = torch.cat([weights[f"blocks.{k}.{name}"].flatten() for k in range(2)])
        bound = fan_in**-0.5
        assert 0.9 * bound < float(tensor.abs().max()) <= bound
        assert abs(float(tensor.mean())) < bound / 4


def test_it_can_be_left_out_for_the_papers_ablation() -> None:
    method = method_named("acquirer")
    for skip, kinds in ((False, ["lexicon", "acquirer"]), (True, ["lexicon"])):
        assert [module.kind for module in method.modules(method.config({"skip": skip}))] == kinds
