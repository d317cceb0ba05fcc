"""Row factors of the optimiser, one by one; the comparison of the whole with dense AdamW is in tests/numerics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glotclip.methods.module import ParameterGroup
from glotclip.training.optim import Optimizer
from glotclip.training.settings import TrainSettings

SETTINGS = TrainSettings(lr=0.1, weight_decay=0.0, clip_norm=0, eps=1e-8)
SCALE = torch.tensor([1.0, 0.5, 0.0])


def _trained(steps: int, **scales: torch.Tensor) -> torch.Tensor:
    """Three rows after ``steps`` equal gradients."""
    rows = nn.Parameter(torch.ones(3, 4))
    optimizer = Optimizer([ParameterGroup("rows", [rows], **scales)], SETTINGS)  # type: ignore[arg-type]
    for _ in range(steps):
        rows.grad = torch.full((3, 4), 0.3)
        optimizer.step(1.0)
    return rows.detach()


def test_a_rate_factor_scales_the_update_whatever_the_gradient() -> None:
    moved = 1 - _trained(3, rate_scale=SCALE)
    plain = 1 - _trained(3)
    assert torch.equal(moved[0], plain[0])
    assert torch.allclose(moved[1], plain[1] / 2)
    assert torch.equal(moved[2], torch.zeros(4))


def test_a_gradient_factor_is_undone_by_adam_down_to_epsilon() -> None:
    moved = 1 - _trained(3, gradient_scale=SCALE)
    assert torch.allclose(moved[1], moved[0], rtol=1e-5)
    assert torch.equal(moved[2], torch.zeros(4))


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    rows = nn.Parameter(torch.ones(3, 4))
    optimizer = Optimizer([ParameterGroup("rows", [rows], rate_scale=SCALE)], SETTINGS)
    rows.grad = torch.full((3, 4), float("nan"))
    assert optimizer.step(1.0) != pytest.approx(0)
    assert torch.equal(rows, torch.ones(3, 4))
    assert rows.grad is None


def test_the_gradient_is_clipped_by_its_global_norm() -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    optimizer = Optimizer(
        [ParameterGroup("a", [a]), ParameterGroup("b", [b])],
        TrainSettings(lr=0.1, betas=(0.0, 0.0)),
    )
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert optimizer.step(1.0) == pytest.approx(5.0)
    moments = [optimizer.state_dict()[f"{i}.exp_avg"].tolist() for i in range(2)]
    assert [*moments[0], *moments[1]] == pytest.approx([0.6, 0.0, 0.8], abs=1e-5)
