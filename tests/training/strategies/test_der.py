"""Dark experience replay: what a sample is held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.training.strategies.der import DarkExperienceReplay

if TYPE_CHECKING:
    from tests.conftest import School
    from tests.training.strategies.conftest import Course

pytestmark = pytest.mark.slow


def test_samples_are_held_to_the_students_features_when_they_came_by(
    school: School, course: Callable[..., Course]
) -> None:
    made = course("de", strategy="der", memory=64, steps=1)  # seen once, by the weights the task started with
    assert isinstance(made.strategy, DarkExperienceReplay)
    start = school.curriculum(("de",), isolation="shared", vocabulary=0).prepare(
        school.base, None, ("de",), school.captions
    )
    assert len(made.strategy.memory) == 8
    for sample in made.strategy.memory.samples:
        expected = school.base.encode_tokens(start.tokenizer.encode([sample.text]), start.stacks["de"])[0]
        assert sample.held is not None
        torch.testing.assert_close(sample.held, expected, atol=1e-5, rtol=1e-4)
        assert not sample.held.requires_grad


def test_or_to_those_at_the_end_of_their_task(school: School, course: Callable[..., Course]) -> None:
    made = course("de", "fr", strategy="der", memory=64, der_features="learnt")
    assert isinstance(made.strategy, DarkExperienceReplay)
    assert set(made.strategy.memory.texts()) == {"de", "fr"}
    for sample in made.strategy.memory.samples:
        lesson = made.lessons[("de", "fr").index(sample.language)]  # its weights are those of its task's end
        tokens = lesson.tokenizer.encode([sample.text])
        expected = school.base.encode_tokens(tokens, lesson.stacks[sample.language])[0]
        assert sample.held is not None
        torch.testing.assert_close(sample.held, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("teir", [True, False])
def test_less_is_forgotten(course: Callable[..., Course], distance: Any, teir: bool) -> None:
    settings: dict[str, Any] = {"steps": 40, "memory": 64, "memory_batch": 8, "teir": teir}
    lost = {}
    for strategy in ("none", "der"):
        made = course("en", "de", "fr", strategy=strategy, **settings)
        lost[strategy] = sum(
            distance(made.states[2], code) - distance(made.states[place], code)
            for place, code in enumerate(("en", "de"))
        )
    assert lost["der"] < 0.7 * lost["none"]
