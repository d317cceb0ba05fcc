"""The module of a task: who encodes target texts, and what a strategy adds to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.training.parallel import World
from glotclip.training.settings import ContinualSettings
from glotclip.training.strategies.strategy import Strategy
from glotclip.training.task_data import TaskDataLoader
from glotclip.training.task_module import TaskModule

if TYPE_CHECKING:
    from tests.conftest import School

    from glotclip.training.module import Batch


def prepared(school: School, strategy: Strategy | None = None, **settings: Any) -> tuple[TaskModule, Batch]:
    captions = {"de": replace(school.captions["de"], target_texts=school.captions["en"].texts)}
    curriculum = school.curriculum(("de",), **settings)
    task = curriculum.prepare(school.base, None, ("de",), captions)
    (stage,) = curriculum.stages()
    loader = TaskDataLoader(
        task, captions, curriculum.train, 1, device=school.base.device, world=World(),
        target_texts=stage.objective.encodes_targets,
    )  # fmt: skip
    return TaskModule(school.base, task, stage.objective, "fp32", strategy), loader(0)[0]


@pytest.mark.parametrize(("target_encoder", "gradient"), [("trained", True), ("detached", False)])
def test_targets_are_encoded_by_the_same_stack(school: School, target_encoder: str, gradient: bool) -> None:
    module, batch = prepared(school, target_encoder=target_encoder)
    encoded = module.encode(batch)
    assert encoded.target is not None
    assert encoded.target.requires_grad is gradient
    task, texts = module.task, dict(zip(school.captions["de"].texts, school.captions["en"].texts, strict=True))
    english = task.tokenizer.encode([texts[text] for _, text in batch.samples])
    expected = school.base.encode_tokens(english, task.stacks["de"])
    torch.testing.assert_close(encoded.target, expected, atol=1e-5, rtol=1e-4)


def test_frozen_targets_are_not_encoded(school: School) -> None:
    module, batch = prepared(school)
    assert module.encode(batch).target is None


class Constant(Strategy):
    """Adds a constant with a weight, and keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__(ContinualSettings())
        self.seen: list[int] = []

    def extra_loss(self) -> Mapping[str, tuple[float, torch.Tensor]]:
        return {"constant": (2.0, torch.tensor(3.0))}

    def on_step_end(self, batches: Any, features: Any) -> None:
        self.seen.append(len(batches))

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"seen": torch.tensor(self.seen)}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        self.seen = state["seen"].tolist()


def test_a_strategys_terms_steps_and_state_go_through_it(school: School) -> None:
    plain, batch = prepared(school)
    module, _ = prepared(school, Constant())
    features = plain.encode(batch).features.detach()
    loss, terms = module.loss(features, batch.targets)
    assert float(loss - plain.loss(features, batch.targets)[0]) == pytest.approx(6.0)
    assert float(terms["constant"]) == 3.0
    module.on_step_end([batch], [features])
    again, _ = prepared(school, Constant())
    again.load_state_dict(module.state_dict())
    assert isinstance(again.strategy, Constant)
    assert again.strategy.seen == [1]
    assert plain.state_dict() == {}
