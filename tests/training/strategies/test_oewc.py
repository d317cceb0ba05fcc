"""Online EWC: F and penalty by hand, sums over tasks by row id, and that the compact sub-table stays exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.methods.lexicon import Lexicon
from glotclip.training.parallel import World
from glotclip.training.strategies.oewc import Importance, OnlineEwc, lasting
from glotclip.training.task_data import TaskDataLoader
from glotclip.training.task_module import TaskModule

if TYPE_CHECKING:
    from tests.conftest import School
    from tests.training.strategies.conftest import Course

pytestmark = pytest.mark.slow

NAME = "lexicon.rows"


def test_the_importance_is_the_mean_squared_gradient_of_one_pass(
    school: School, course: Callable[..., Course]
) -> None:
    made = course("de", strategy="oewc", steps=3, cross_modal=0)  # without a temperature, which has moved by then
    assert isinstance(made.strategy, OnlineEwc)
    (found,) = made.strategy.importance.values()
    task = made.tasks[0]
    curriculum = school.curriculum(("de",), isolation="shared", vocabulary=0, cross_modal=0)
    loader = TaskDataLoader(
        task, {"de": school.captions["de"]}, curriculum.train, 1,
        device=school.base.device, world=World(), stage=1,
    )  # fmt: skip
    assert loader.steps_per_epoch == 1  # 12 captions in batches of 8, the partial one dropped
    module = TaskModule(school.base, task, curriculum.stages()[0].objective, "fp32")
    (batch,) = loader(0)
    (parameter,) = task.groups[0].parameters
    loss, _ = module.loss(module.encode(batch).features, batch.targets)
    (gradient,) = torch.autograd.grad(loss, [parameter])
    torch.testing.assert_close(found.values, gradient.square())
    assert found.values.max() > 1e-4
    assert found.ids is not None
    assert torch.equal(found.ids, task.shared_modules[0].ids)  # type: ignore[arg-type]


def test_the_penalty_by_hand(school: School, course: Callable[..., Course]) -> None:
    made = course("de", strategy="oewc")
    strategy = made.strategy
    assert isinstance(strategy, OnlineEwc)
    curriculum = school.curriculum(("fr",), isolation="shared", strategy="oewc", vocabulary=150, teir=True)
    task = curriculum.prepare(school.base, made.states[0], ("fr",), school.captions, strategy)
    plain = TaskModule(school.base, task, curriculum.stages()[0].objective, "fp32")
    loader = TaskDataLoader(
        task, {"fr": school.captions["fr"]}, curriculum.train, 1, device=school.base.device, world=World()
    )
    module = TaskModule(school.base, task, curriculum.stages()[0].objective, "fp32", strategy)
    strategy.on_stage_start(task, 0)
    (batch,) = loader(0)
    features = plain.encode(batch).features.detach()
    loss = plain.loss(features, batch.targets)[0].detach()
    assert torch.equal(module.loss(features, batch.targets)[0].detach(), loss)  # nothing has moved yet
    ((name, parameter, ids),) = lasting(task)
    assert name == NAME
    assert ids is not None
    with torch.no_grad():
        parameter.add_(0.1)
    held = strategy.importance[NAME]
    assert held.ids is not None
    shared = set(held.ids.tolist()) & set(ids.tolist())
    assert shared
    assert len(shared) < len(ids)  # some rows are new to French
    by_hand = sum(
        float(row.sum()) * 0.01 for i, row in zip(held.ids.tolist(), held.values, strict=True) if i in shared
    )
    held_loss, parts = module.loss(features, batch.targets)
    assert float(parts["penalty"]) == pytest.approx(by_hand, rel=1e-4)
    assert float(held_loss.detach() - loss) == pytest.approx(1000 * by_hand, rel=1e-3)


def test_importances_add_up_by_row_id() -> None:
    one = Importance(torch.tensor([[1.0], [2.0]]), torch.tensor([2, 5]))
    other = Importance(torch.tensor([[10.0], [20.0]]), torch.tensor([5, 7]))
    total = one.plus(other)
    assert total.ids is not None
    assert (total.ids.tolist(), total.values.flatten().tolist()) == ([2, 5, 7], [1.0, 12.0, 20.0])
    found = total.at(torch.zeros(4, 1), torch.tensor([0, 5, 7, 9]))
    assert found.flatten().tolist() == [0.0, 12.0, 20.0, 0.0]
    module = Importance(torch.ones(2, 3))
    assert torch.equal(module.plus(module).at(torch.zeros(2, 3), None), torch.full((2, 3), 2.0))
    assert not module.at(torch.zeros(4, 3), None).any()  # another weight by now


def dense(made: Course, school: School) -> torch.Tensor:
    table = made.states[-1].modules["all"][0]
    return table.full_table(school.base.text.table.detach())  # type: ignore[operator, no-any-return]


PULLED: dict[str, Any] = {"strategy": "oewc", "weight_decay": 0.5, "steps": 12, "ewc_weight": 300.0}


def trained_rows(made: Course) -> set[int]:
    table = made.tasks[-1].shared_modules[0]
    assert isinstance(table, Lexicon)
    return set(table.ids.tolist())


def test_under_plain_decay_the_compact_table_is_exact(
    school: School, course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch
) -> None:
    compact = course("hi", "de", **PULLED)
    every = torch.arange(school.base.tokenizer.vocab_size)
    monkeypatch.setattr(OnlineEwc, "anchored_rows", lambda self: {Lexicon.kind: every})
    whole = course("hi", "de", **PULLED)
    assert len(trained_rows(compact)) < len(trained_rows(whole)) == len(every)
    tables = []
    for made in (compact, whole):
        table = made.states[-1].modules["all"][0]
        assert isinstance(table, Lexicon)
        tables.append(table.full_table(school.base.text.table.detach()))
    torch.testing.assert_close(*tables, rtol=1e-4, atol=2e-6)


def test_under_teir_no_row_beyond_the_captions_is_needed(course: Callable[..., Course]) -> None:
    made = course("hi", "de", teir=True, **PULLED)
    task = made.tasks[1]
    assert trained_rows(made) == set(task.tokens["de"].flat.tolist()) | task.tokenizer.special_ids


@pytest.mark.parametrize("teir", [True, False])
def test_less_is_forgotten(course: Callable[..., Course], distance: Any, teir: bool) -> None:
    lost = {}
    for strategy in ("none", "oewc"):
        made = course("en", "de", "fr", strategy=strategy, steps=40, teir=teir)
        lost[strategy] = sum(
            distance(made.states[2], code) - distance(made.states[place], code)
            for place, code in enumerate(("en", "de"))
        )
    assert lost["oewc"] < 0.7 * lost["none"]


def test_what_is_not_finite_is_an_error_and_no_importance(course: Callable[..., Course], school: School) -> None:
    made = course("de", strategy="oewc", steps=2)
    strategy, task = OnlineEwc(school.curriculum(("de",), isolation="shared", strategy="oewc").train), made.tasks[0]
    curriculum = school.curriculum(("de",), isolation="shared", vocabulary=0)
    loader = TaskDataLoader(
        task, {"de": school.captions["de"]}, curriculum.train, 1, device=school.base.device, world=World()
    )
    module = TaskModule(school.base, task, curriculum.stages()[0].objective, "fp32")
    with torch.no_grad():
        task.groups[0].parameters[0].mul_(float("inf"))
    with pytest.raises(ConfigError, match="not finite"):
        strategy.on_task_end(task, module, [loader(0)])
