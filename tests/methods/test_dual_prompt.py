"""DualPrompt: what trains, the pull loss by hand, and which experts a text gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.nn import functional as F

from glotclip.methods.dual_prompt import DualPrompt
from glotclip.methods.module import ALL
from glotclip.methods.objective import ObjectiveSettings
from glotclip.methods.task import TrainingTask
from glotclip.models.text_tower import TextConfig
from glotclip.training.parallel import World
from glotclip.training.task_data import TaskDataLoader
from glotclip.training.task_module import TaskModule
from glotclip.training.trainer import Trainer

if TYPE_CHECKING:
    from tests.conftest import School
    from tests.methods.conftest import MakeTask

    from glotclip.methods.settings import ModuleSettings
    from glotclip.models.dual_encoder import DualEncoder

EXPERTS_IN_THE_LAST: dict[str, Any] = {"shared": True, "general_blocks": (0, 1), "expert_blocks": (1,), "expert": 3}


def prefix_of(module: DualPrompt, features: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    hooks = module.condition_on(features).block_hooks(k)
    assert hooks is not None
    assert hooks.prefix is not None
    return hooks.prefix


@pytest.fixture
def second(base: DualEncoder, make_task: MakeTask) -> DualPrompt:
    """The pool while a second task is learnt."""
    state = make_task(base, ["dual-prompt"], **EXPERTS_IN_THE_LAST).finish(1.0)
    (module,) = make_task(base, ["dual-prompt"], ("fr",), state, **EXPERTS_IN_THE_LAST).shared_modules
    assert isinstance(module, DualPrompt)
    return module


def test_in_training_every_text_gets_the_tasks_own_and_pulls_its_key(second: DualPrompt) -> None:
    query = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    key, value = prefix_of(second, query, 1)
    torch.testing.assert_close(key, torch.cat([second.general[1, 0], second.of("prompt")[1][0, 0]]))
    torch.testing.assert_close(value, torch.cat([second.general[1, 1], second.of("prompt")[1][0, 1]]))
    assert torch.equal(prefix_of(second, query, 0)[0], second.general[0, 0])
    expected = (1 - F.cosine_similarity(query, second.of("key")[1])).mean()
    loss = second.auxiliary_loss()  # of both calls: the same texts twice
    assert loss is not None
    torch.testing.assert_close(loss, expected)
    assert second.auxiliary_loss() is None
    loss.backward()  # type: ignore[no-untyped-call]
    assert second.of("key")[1].grad is not None
    assert second.of("key")[0].grad is None


def test_without_gradients_each_text_gets_the_nearest_keys(second: DualPrompt) -> None:
    keys = [key.detach()[0] for key in second.of("key")]
    query = torch.stack([keys[1] * 3, keys[0], keys[0] * 0.1 + 0.01 * keys[1], keys[1]])
    with torch.no_grad():
        key, value = prefix_of(second, query, 1)
    assert second.auxiliary_loss() is None
    for row, task in enumerate((1, 0, 0, 1)):
        torch.testing.assert_close(key[row], torch.cat([second.general[1, 0], second.of("prompt")[task][0, 0]]))
        torch.testing.assert_close(value[row], torch.cat([second.general[1, 1], second.of("prompt")[task][0, 1]]))


@pytest.mark.parametrize("later", [False, True])
def test_the_pull_is_weighted_as_the_settings_of_the_task_say(
    base: DualEncoder, make_task: MakeTask, later: bool
) -> None:
    """Also where the pool is an earlier task's, of another weight: it is no part of what a pack stores."""
    losses = []
    state = make_task(base, ["dual-prompt"], pull=3.0, **EXPERTS_IN_THE_LAST).finish(1.0) if later else None
    for pull in (1.0, 0.25):
        (module,) = make_task(base, ["dual-prompt"], ("fr",), state, pull=pull, **EXPERTS_IN_THE_LAST).shared_modules
        module.condition_on(torch.randn(5, 16, generator=torch.Generator().manual_seed(0)))
        losses.append(module.auxiliary_loss())
    assert losses[0] is not None
    assert losses[1] is not None
    torch.testing.assert_close(losses[0] * 0.25, losses[1])


def test_a_task_can_be_stored_after_a_step_that_nobody_asked_the_loss_of(
    base: DualEncoder, make_task: MakeTask
) -> None:
    task = make_task(base, ["dual-prompt"], **EXPERTS_IN_THE_LAST)
    (module,) = task.shared_modules
    module.condition_on(torch.randn(5, 16))
    stored = task.finish(1.0).module("dual-prompt", ALL)
    assert isinstance(stored, DualPrompt)
    assert stored.auxiliary_loss() is None


@pytest.mark.slow
def test_a_task_learns_prompts_and_keys(school: School, tiny_settings: Callable[..., ModuleSettings]) -> None:
    settings, state = tiny_settings(**EXPERTS_IN_THE_LAST), None
    curriculum = school.curriculum(("de",), steps=30, warmup=0)
    for code in ("de", "fr"):
        task = TrainingTask(school.base, state, {code: school.captions[code].texts}).prepare([DualPrompt], settings)
        module = TaskModule(school.base, task, ObjectiveSettings(), "fp32")
        captions = {code: school.captions[code]}
        loader = TaskDataLoader(task, captions, curriculum.train, 30, device=school.base.device, world=World())
        lines: list[dict[str, float]] = []
        Trainer(module, loader, 30, curriculum.train, log=lines.append).fit()
        assert lines[-1]["cross_lingual"] < lines[0]["cross_lingual"]
        assert lines[-1]["dual-prompt"] < 0.8 * lines[0]["dual-prompt"]
        before, state = state, task.finish(1.0)
    learnt = state.module("dual-prompt", ALL) if state else None
    earlier = before.module("dual-prompt", ALL) if before else None
    assert isinstance(learnt, DualPrompt)
    assert isinstance(earlier, DualPrompt)
    for name in ("prompt", "key"):
        assert torch.equal(learnt.of(name)[0], earlier.of(name)[0])  # neither gradient nor decay
    assert not torch.equal(learnt.general, earlier.general)


def test_counts_as_the_paper() -> None:
    whole = DualPrompt(TextConfig(), DualPrompt.Config(), tasks=36)
    keys = 3 * 36 * 512
    assert whole.size == 942_080 == 2 * 2 * 512 + 3 * 36 * 16 * 512 + keys


@pytest.mark.parametrize("name", ["prompt", "key"])
def test_draws_are_uniform(base: DualEncoder, name: str) -> None:
    config = DualPrompt.Config(general_blocks=(0,), expert_blocks=(0, 1), expert=40)
    module = DualPrompt(base.text.config, config)
    draw = torch.cat([module.drawn(name, torch.Generator().manual_seed(seed)).flatten() for seed in range(40)])
    assert -1 <= draw.min() < -0.95
    assert 0.95 < draw.max() <= 1
    assert abs(float(draw.mean())) < 0.06
