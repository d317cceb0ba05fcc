"""The strategy that does nothing: batches, loss and memory stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from glotclip.training.settings import ContinualSettings
from glotclip.training.strategies.strategy import Strategy

if TYPE_CHECKING:
    from tests.training.strategies.conftest import Course


def test_it_adds_nothing_and_remembers_nothing(course: Callable[..., Course]) -> None:
    strategy = Strategy(ContinualSettings())
    batches: list[object] = [object()]
    assert strategy.mix(batches) is batches  # type: ignore[arg-type]
    assert strategy.extra_loss() == {}
    made = course("de", "fr")
    assert (made.strategy.tensors(), made.strategy.state_dict(), made.strategy.replay_texts()) == ({}, {}, {})


def test_tasks_follow_one_another_as_with_no_strategy_at_all(course: Callable[..., Course]) -> None:
    none, oewc = course("de", "fr"), course("de", "fr", strategy="oewc", ewc_weight=0.0)
    tables = [made.states[-1].modules["all"][0].tensors()["rows"] for made in (none, oewc)]
    torch.testing.assert_close(*tables)
