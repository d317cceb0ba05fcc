"""The optimiser of MLA's authors, written out, against ours with the settings of ``recipes/mla_paper.yaml``.

Theirs is BertAdam (Devlin et al. 2019): each tensor is clipped by itself (in full precision, after a global
clip); moments are not corrected for starting at zero; decay is decoupled, at the scheduled rate; the schedule's
argument is step / total over the whole run, from 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from glotclip.config import read_recipe
from glotclip.methods.module import ParameterGroup
from glotclip.methods.objective import ObjectiveSettings
from glotclip.training.optim import Optimizer
from glotclip.training.settings import TrainSettings
from glotclip.training.stages import stages_of

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[2] / "recipes" / "mla_paper.yaml"
SHAPES = {"table": (7, 4), "down": (3, 4), "bias": (3,)}
Arrays = dict[str, npt.NDArray[np.float64]]


def of_the_recipe(**more: Any) -> TrainSettings:
    values = {name: value for name, value in read_recipe(RECIPE).items() if name in TrainSettings.model_fields}
    return TrainSettings(**{**values, **more})


class BertAdam:
    """Theirs, one tensor at a time, in float64."""

    def __init__(self, weights: Arrays, total: int, peak: float, globally: bool) -> None:
        self.weights, self.total, self.peak, self.globally = weights, total, peak, globally
        self.moments = {name: (np.zeros_like(w), np.zeros_like(w)) for name, w in weights.items()}
        self.clipped = 0
        self.done = 0

    def rate(self) -> float:
        x = self.done / self.total
        return self.peak * (x / 0.1 if x < 0.1 else 0.5 * (1 + math.cos(math.pi * x)))

    def step(self, gradients: Arrays) -> None:
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
        if self.globally and norm > 1:
            gradients = {name: g / (norm + 1e-6) for name, g in gradients.items()}
        for name, g in gradients.items():
            own = math.sqrt(float((g**2).sum()))
            if own > 1:  # never after a global clip to 1
                self.clipped += 1
                g = g / (own + 1e-6)
            m, v = self.moments[name]
            m[:] = 0.9 * m + 0.1 * g
            v[:] = 0.98 * v + 0.02 * g * g
            update = m / (np.sqrt(v) + 1e-6)
            if name != "bias":
                update = update + 0.2 * self.weights[name]
            self.weights[name] -= self.rate() * update
        self.done += 1


def gradients_of(step: int) -> Arrays:
    """Some that are cut and some that are not."""
    rng = np.random.default_rng(step)
    size = 3.0 if step % 3 else 0.05
    return {name: (size * rng.normal(size=shape)).astype(np.float32).astype(float) for name, shape in SHAPES.items()}


def ours(settings: TrainSettings, start: Mapping[str, Any]) -> tuple[Optimizer, dict[str, nn.Parameter]]:
    weights = {name: nn.Parameter(torch.tensor(w, dtype=torch.float32)) for name, w in start.items()}
    groups = [ParameterGroup(name, [weight], weight_decay=name != "bias") for name, weight in weights.items()]
    return Optimizer(groups, settings), weights


@pytest.mark.parametrize(("total", "globally"), [(40, False), (37, False), (40, True)])
def test_the_recipes_optimiser_is_the_authors(total: int, globally: bool) -> None:
    settings = of_the_recipe(lr=1e-2, **({"clip_norm": 1.0} if globally else {}))
    start = {name: np.random.default_rng(9).normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    reference = BertAdam({name: w.astype(float) for name, w in start.items()}, total, 1e-2, globally)
    optimizer, weights = ours(settings, start)
    for step in range(total):
        gradients = gradients_of(step)
        for name, weight in weights.items():
            weight.grad = torch.tensor(gradients[name], dtype=torch.float32)
        reference.step(gradients)
        optimizer.step(settings.lr_factor(step, total))
        for name, weight in weights.items():
            np.testing.assert_allclose(weight.detach().numpy(), reference.weights[name], rtol=1e-6, atol=1e-6)
        if step == 0:  # the first step's rate is 0
            assert all(np.array_equal(weight.detach().numpy(), start[name]) for name, weight in weights.items())
    assert (reference.clipped > 0) is not globally
    moved = max(float(np.abs(reference.weights[name] - start[name]).max()) for name in start)
    assert moved > 0.05


def test_each_tensor_is_clipped_by_itself() -> None:
    """The authors' half-precision path has no global clip, only this one."""
    settings = TrainSettings(clip_norm=0, clip_per_tensor=1.0, adam_bias_correction=False, betas=(0.0, 0.0))
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    optimizer = Optimizer([ParameterGroup("both", [a, b])], settings)
    a.grad, b.grad = torch.tensor([3.0, 4.0]), torch.tensor([0.5])
    assert optimizer.step(1.0) == pytest.approx(25.25**0.5)  # what is logged is the norm before any clipping
    assert optimizer.state_dict()["0.exp_avg"].tolist() == pytest.approx([0.6, 0.8], abs=1e-5)
    assert optimizer.state_dict()["1.exp_avg"].tolist() == pytest.approx([0.5])


def schedule(settings: TrainSettings, total: int) -> list[float]:
    return [settings.lr_factor(step, total) for step in range(total)]


def test_both_of_the_papers_stages_take_the_whole_schedule() -> None:
    transfer, exposure = stages_of(ObjectiveSettings(), of_the_recipe())
    assert (transfer.train.steps, exposure.train.steps) == (117_150, 11_715)
    for stage in (transfer, exposure):
        total = stage.train.steps
        assert total is not None
        factor = [
            stage.train.lr_factor(step, total) for step in (0, total // 10 - 9, -(-total // 10), total // 2, total)
        ]
        expected = [0, (total // 10 - 9) / (total / 10), 0.5 * (1 + math.cos(math.pi / 10)), 0.5, 0]
        assert factor == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("total", [1, 2, 7, 10, 1000])
@pytest.mark.parametrize("span", ["after-warmup", "run"])
@pytest.mark.parametrize("shape", ["constant", "cosine"])
@pytest.mark.parametrize("zero", [False, True])
def test_every_schedule_stays_between_zero_and_one(total: int, span: Any, shape: Any, zero: bool) -> None:
    for warmup in (0.0, 0.1, 0.35, 1.0):
        factors = schedule(
            TrainSettings(schedule=shape, schedule_span=span, warmup=warmup, warmup_from_zero=zero), total
        )
        assert all(0 <= factor <= 1 for factor in factors)
        assert (factors[0] == 0) == (zero and round(warmup * total) > 0 if span != "run" else zero and warmup > 0)


def test_where_a_gradient_is_missing_nothing_moves() -> None:
    settings = TrainSettings(adam_bias_correction=False, weight_decay=0.5, warmup=0)
    a, b = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(1))
    optimizer = Optimizer([ParameterGroup("both", [a, b])], settings)
    for gradient in (torch.ones(2), None):
        a.grad, b.grad = gradient, torch.ones(1)
        before = a.detach().clone()
        optimizer.step(1.0)
        assert torch.equal(a, before) == (gradient is None)


def test_its_state_survives_a_kill_to_the_last_bit() -> None:
    def run(steps: Sequence[int], optimizer: Optimizer, weights: Mapping[str, nn.Parameter]) -> None:
        for step in steps:
            for name, weight in weights.items():
                weight.grad = torch.tensor(gradients_of(step)[name], dtype=torch.float32)
            optimizer.step(settings.lr_factor(step, 20))

    settings = of_the_recipe(lr=1e-2)
    start = {name: np.random.default_rng(9).normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    whole, weights = ours(settings, start)
    run(range(20), whole, weights)
    first, halfway = ours(settings, start)
    run(range(10), first, halfway)
    second, resumed = ours(settings, start)
    second.load_state_dict({name: tensor.clone() for name, tensor in first.state_dict().items()})
    run(range(10, 20), second, resumed)
    assert all(torch.equal(resumed[name], weights[name]) for name in SHAPES)
