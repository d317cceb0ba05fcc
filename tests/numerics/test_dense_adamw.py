"""The compact sub-table against AdamW over the whole table, written out (CLL-CLIP §3.2, §8.4).

Shapes: V rows of the whole table, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glotclip.methods.lexicon import Lexicon
from glotclip.methods.module import ALL
from glotclip.methods.objective import Alignment
from glotclip.models.hooks import TextHooks
from glotclip.training.parallel import World
from glotclip.training.task_data import TaskDataLoader

if TYPE_CHECKING:
    from tests.conftest import School

    from glotclip.methods.stack import PackState

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "isolation": "shared", "steps": 15, "lr": 0.004, "weight_decay": 0.5, "clip_norm": 0.05, "cross_modal": 0.2,
}  # fmt: skip


class DenseTable(TextHooks):
    """The whole table as one parameter, as the paper trains it."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(table.clone())

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return F.embedding(ids, self.rows)


class WrittenOutAdam:
    """Adam of one parameter, line by line (Kingma & Ba 2015, Alg. 1), moments from the gradient it is given."""

    def __init__(self, parameter: nn.Parameter, betas: tuple[float, float], eps: float) -> None:
        self.parameter, self.betas, self.eps = parameter, betas, eps
        self.m, self.v, self.t = torch.zeros_like(parameter), torch.zeros_like(parameter), 0

    def step(self, gradient: torch.Tensor, lr: float) -> None:
        self.t += 1
        first, second = self.betas
        self.m = first * self.m + (1 - first) * gradient
        self.v = second * self.v + (1 - second) * gradient * gradient
        m_hat, v_hat = self.m / (1 - first**self.t), self.v / (1 - second**self.t)
        with torch.no_grad():
            self.parameter.sub_(lr * m_hat / (v_hat.sqrt() + self.eps))


def whole_table(state: PackState, base_table: torch.Tensor) -> torch.Tensor:
    part = state.module("lexicon", ALL)
    assert isinstance(part, Lexicon)
    return part.full_table(base_table)


def dense_reference(
    school: School, before: PackState | None, code: str, earlier: list[str], gradient: bool, decay: bool
) -> tuple[torch.Tensor, torch.Tensor, set[int]]:
    """Train the whole table densely. Returns it before and after, and the ids of the captions."""
    base = school.base
    curriculum = school.curriculum((code,), **SETTINGS, teir_gradient=gradient, teir_decay=decay)
    settings = curriculum.train
    task = curriculum.prepare(base, before, (code,), school.captions)
    start = whole_table(task.finish(1.0), base.text.table)
    V = len(base.text.table)
    special = task.tokenizer.special_ids
    occurring = set(np.unique(task.tokens[code].flat).tolist()) - special

    # λ from the definition: one for this language, one for the base's pre-training, one for each earlier language.
    used = [1 + (j < V) for j in range(len(start))]
    state_of: PackState | None = None
    for other in earlier:
        state_of = school.teach(state_of, other, **SETTINGS, teir_gradient=gradient, teir_decay=decay).state
        for j in set(np.unique(state_of.tokenizer.encode(school.captions[other].texts).flat).tolist()) - special:
            used[j] += 1
    lam = torch.tensor([1 / used[j] if j in occurring else 0.0 for j in range(len(start))])[:, None]
    ones = torch.ones_like(lam)
    for_gradient, for_decay = (lam if gradient else ones), (lam if decay else ones)

    dense = DenseTable(start)
    objective = Alignment(curriculum.method_settings)
    loader = TaskDataLoader(task, {code: school.captions[code]}, settings, 15, device=base.device, world=World())
    adam = WrittenOutAdam(dense.rows, settings.betas, settings.eps)
    adam_temperature = WrittenOutAdam(objective.temperature, settings.betas, settings.eps)
    clipped = 0
    for step in range(15):
        (batch,) = loader(step)
        (texts,) = batch.texts
        loss, _ = objective(base.text(texts.ids, texts.lengths, dense), batch.targets)
        table_gradient, temperature_gradient = torch.autograd.grad(loss, [dense.rows, objective.temperature])
        norm = torch.sqrt(table_gradient.square().sum() + temperature_gradient.square())
        shrink = min(1.0, settings.clip_norm / (float(norm) + 1e-6))
        clipped += shrink < 1
        lr = settings.lr * settings.lr_factor(step, 15)
        with torch.no_grad():
            dense.rows.mul_(1 - lr * settings.weight_decay * for_decay)
        adam.step(table_gradient * shrink * for_gradient, lr)
        adam_temperature.step(temperature_gradient * shrink, lr)
    assert clipped > 0  # otherwise the order of clipping and scaling would not be tested
    return start, dense.rows.detach(), occurring


@pytest.mark.parametrize("earlier", [[], ["de"]])
@pytest.mark.parametrize(("gradient", "decay"), [(True, True), (False, False), (True, False), (False, True)])
def test_the_sub_table_ends_where_the_whole_table_would(
    school: School, gradient: bool, decay: bool, earlier: list[str]
) -> None:
    before = None
    for code in earlier:
        before = school.teach(before, code, **SETTINGS, teir_gradient=gradient, teir_decay=decay).state
    taught = school.teach(before, "fr", **SETTINGS, teir_gradient=gradient, teir_decay=decay)
    got = whole_table(taught.state, school.base.text.table)
    start, dense, occurring = dense_reference(school, before, "fr", earlier, gradient, decay)
    assert got.shape == dense.shape
    torch.testing.assert_close(got, dense, rtol=2e-5, atol=1e-6)
    trained = sorted(occurring)
    assert float((got[trained] - start[trained]).abs().max()) > 0.005  # it did learn something
    others = [j for j in range(len(start)) if j not in occurring and j not in taught.state.tokenizer.special_ids]
    assert others
    if decay:
        assert torch.equal(got[others], start[others])
    else:
        assert not torch.isclose(got[others], start[others], rtol=1e-3).all()


def test_adam_sees_the_factor_through_epsilon_only(school: School) -> None:
    """With a tiny ε the gradient's damping vanishes: it must act before the moments, not on the update."""
    table = school.base.text.table
    tables = [
        whole_table(
            school.teach(
                None, "de", isolation="shared", eps=1e-20, weight_decay=0.0, steps=3, clip_norm=0.0,
                cross_modal=0.0, teir_gradient=damped, batch_size=12, vocabulary=0, lr=1e-4,
            ).state,
            table,
        )
        for damped in (True, False)
    ]  # fmt: skip
    rows = [j for j in range(len(table)) if j not in school.base.tokenizer.special_ids]
    moved = (tables[1][rows] - table[rows]).abs().sum()
    assert moved > 0
    assert (tables[0][rows] - tables[1][rows]).abs().sum() < 0.01 * moved
