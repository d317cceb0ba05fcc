"""DualPrompt: what trains, the pull loss by hand, and which experts a text gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn import functional as F

from glotclip.methods.dual_prompt import DualPrompt, DualPromptIngredient
from glotclip.methods.stack import ALL
from glotclip.training.loop import fit

if TYPE_CHECKING:
    from tests.conftest import School
    from tests.methods.conftest import MakeLesson

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

SMALL = DualPromptIngredient(general_blocks=(0, 1), general=1, expert_blocks=(1,), expert=3)


def two_tasks(base: DualEncoder, make_lesson: MakeLesson) -> tuple[TrainingTask, DualPrompt]:
    state = make_lesson(base, [SMALL]).finish(1.0)
    lesson = make_lesson(base, [SMALL], ("fr",), state)
    (part,) = lesson.shared_modules
    assert isinstance(part, DualPrompt)
    return lesson, part


def test_in_training_every_text_gets_the_tasks_own_and_pulls_its_key(
    base: DualEncoder, make_lesson: MakeLesson
) -> None:
    _, part = two_tasks(base, make_lesson)
    query = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    key, value = part.condition_on(query).block_hooks(1).prefix  # type: ignore[union-attr, misc]
    torch.testing.assert_close(key, torch.cat([part.general[1, 0], part.of("prompt")[1][0, 0]]))
    torch.testing.assert_close(value, torch.cat([part.general[1, 1], part.of("prompt")[1][0, 1]]))
    only = part.condition_on(query).block_hooks(0).prefix  # type: ignore[union-attr]
    assert only is not None
    assert torch.equal(only[0], part.general[0, 0])
    expected = (1 - F.cosine_similarity(query, part.of("key")[1])).mean()
    loss = part.auxiliary_loss()  # of both calls: the same texts twice
    assert loss is not None
    torch.testing.assert_close(loss, expected)
    assert part.auxiliary_loss() is None
    loss.backward()  # type: ignore[no-untyped-call]
    assert part.of("key")[1].grad is not None
    assert part.of("key")[0].grad is None


def test_without_gradients_each_text_gets_the_nearest_keys(base: DualEncoder, make_lesson: MakeLesson) -> None:
    _, part = two_tasks(base, make_lesson)
    keys = [key.detach()[0] for key in part.of("key")]
    query = torch.stack([keys[1] * 3, keys[0], keys[0] * 0.1 + 0.01 * keys[1], keys[1]])
    with torch.no_grad():
        key, value = part.condition_on(query).block_hooks(1).prefix  # type: ignore[union-attr, misc]
    assert part.auxiliary_loss() is None
    for row, task in enumerate((1, 0, 0, 1)):
        torch.testing.assert_close(key[row], torch.cat([part.general[1, 0], part.of("prompt")[task][0, 0]]))
        torch.testing.assert_close(value[row], torch.cat([part.general[1, 1], part.of("prompt")[task][0, 1]]))


@pytest.mark.slow
def test_a_lesson_learns_prompts_and_keys(school: School, make_lesson: MakeLesson) -> None:
    from glotclip.methods.objective import ObjectiveSettings
    from glotclip.training.lesson_source import TaskDataLoader, TaskModule
    from glotclip.training.parallel import World

    state = None
    curriculum = school.curriculum(("de",), steps=30, warmup=0)
    for code in ("de", "fr"):
        from glotclip.methods.task import Task, prepare

        lesson = prepare(
            school.base, state, Task({code: school.captions[code].texts}), [SMALL], seed=0, covers_base=False
        )
        learner = TaskModule(school.base, lesson, ObjectiveSettings(), "fp32")
        captions = {code: school.captions[code]}
        source = TaskDataLoader(lesson, captions, curriculum.train, 30, device=school.base.device, world=World())
        lines: list[dict[str, float]] = []
        fit(learner, source, 30, curriculum.train, log=lines.append)
        assert lines[-1]["cross_lingual"] < lines[0]["cross_lingual"]
        assert lines[-1]["dual_prompt"] < 0.8 * lines[0]["dual_prompt"]
        before, state = state, lesson.finish(1.0)
    part = state.part("dual_prompt", ALL) if state else None
    earlier = before.part("dual_prompt", ALL) if before else None
    assert isinstance(part, DualPrompt)
    assert isinstance(earlier, DualPrompt)
    for name in ("prompt", "key"):
        assert torch.equal(part.of(name)[0], earlier.of(name)[0])  # neither gradient nor decay
    assert not torch.equal(part.general, earlier.general)


def test_counts_as_the_paper(make_lesson: MakeLesson) -> None:
    from glotclip.models.text_tower import TextConfig

    whole = DualPrompt(TextConfig(), (0, 1), 1, (2, 3, 4), 8, tasks=36)
    keys = 3 * 36 * 512
    assert whole.size == 942_080 == 2 * 2 * 512 + 3 * 36 * 16 * 512 + keys


@pytest.mark.parametrize("name", ["prompt", "key"])
def test_draws_are_uniform(
    base: DualEncoder, make_lesson: MakeLesson, stir: Callable[[TrainingTask], None], name: str
) -> None:
    part = DualPrompt(base.text.config, (0,), 1, (0, 1), 40)
    draw = torch.cat([part.drawn(name, torch.Generator().manual_seed(seed)).flatten() for seed in range(40)])
    assert -1 <= draw.min() < -0.95
    assert 0.95 < draw.max() <= 1
    assert abs(float(draw.mean())) < 0.06
