"""Experience replay: what a sample is held to, and what the strategy needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.training.strategies.er import ExperienceReplay

if TYPE_CHECKING:
    from tests.conftest import School
    from tests.training.strategies.conftest import Course

pytestmark = pytest.mark.slow


def test_samples_are_held_to_the_frozen_english_features(school: School, course: Callable[..., Course]) -> None:
    made = course("de", strategy="er", memory=64)
    captions = school.captions["de"]
    assert isinstance(made.strategy, ExperienceReplay)
    for sample in made.strategy.memory.samples:
        row = captions.texts.index(sample.text)
        place, picture = captions.target_features.rows[row], captions.images.rows[row]
        assert (sample.held is None) == (place < 0)
        assert (sample.image is None) == (picture < 0)
        assert sample.held is None or torch.equal(
            sample.held, torch.from_numpy(captions.target_features.array[place])
        )
        assert sample.image is None or torch.equal(sample.image, torch.from_numpy(captions.images.array[picture]))
        assert sample.group == captions.groups[row]


@pytest.mark.parametrize("teir", [True, False])
def test_less_is_forgotten(course: Callable[..., Course], distance: Any, teir: bool) -> None:
    settings: dict[str, Any] = {"steps": 40, "memory": 64, "memory_batch": 8, "teir": teir}
    lost = {}
    for strategy in ("none", "er"):
        made = course("en", "de", "fr", strategy=strategy, **settings)
        lost[strategy] = sum(
            distance(made.states[2], code) - distance(made.states[place], code)
            for place, code in enumerate(("en", "de"))
        )
    assert lost["er"] < 0.6 * lost["none"]


@pytest.mark.parametrize("side", ["trained", "detached"])
def test_a_partner_that_is_encoded_in_every_step_cannot_be_kept(school: School, side: str) -> None:
    with pytest.raises(ConfigError, match="strategy=er"):
        school.curriculum(("de",), isolation="shared", strategy="er", target_encoder=side)
    school.curriculum(("de",), isolation="shared", strategy="der", target_encoder=side)


@pytest.mark.parametrize("strategy", ["er", "der", "oewc"])
def test_where_no_language_can_reach_another_there_is_nothing_to_do(school: School, strategy: str) -> None:
    with pytest.raises(ConfigError, match="isolation=per-language"):
        school.curriculum(("de",), isolation="per-language", strategy=strategy)
