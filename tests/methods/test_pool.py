"""What pools share: a task's places train and no other's, both ways through the tower, and how they are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from glotclip.errors import ConfigError, PackError
from glotclip.methods.coda_prompt import CodaPrompt, CodaPromptIngredient
from glotclip.methods.dual_prompt import DualPrompt, DualPromptIngredient
from glotclip.methods.lora import LoraIngredient
from glotclip.methods.pool import Pool, PoolIngredient
from glotclip.methods.stack import ALL, ConditionedStack

if TYPE_CHECKING:
    from tests.methods.conftest import MakeLesson

    from glotclip.methods.stack import PackState
    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

INGREDIENTS: dict[str, PoolIngredient] = {
    "dual_prompt": DualPromptIngredient(general_blocks=(0,), expert_blocks=(0, 1, 7), expert=3),
    "coda_prompt": CodaPromptIngredient(components=3, length=2),
}


@pytest.fixture(params=sorted(INGREDIENTS))
def ingredient(request: pytest.FixtureRequest) -> PoolIngredient:
    return INGREDIENTS[request.param]


def pool_of(state: PackState, ingredient: PoolIngredient) -> Pool:
    part = state.part(ingredient.kind, ALL)
    assert isinstance(part, Pool)
    return part


def test_every_task_has_places_and_only_the_last_ones_train(
    base: DualEncoder, make_lesson: MakeLesson, stir: Callable[[TrainingTask], None], ingredient: PoolIngredient
) -> None:
    first = make_lesson(base, [ingredient])
    stir(first)
    state = first.finish(1.0)
    second = make_lesson(base, [ingredient], ("fr",), state)
    stir(second)
    after = second.finish(1.0)
    one, two = pool_of(state, ingredient), pool_of(after, ingredient)
    assert (one.tasks, two.tasks) == (1, 2)
    for name in one.shapes:
        assert torch.equal(one.of(name)[0], two.of(name)[0])
    training = {id(parameter) for group in second.groups for parameter in group.parameters}
    live = second.stacks["fr"].parts[0]
    assert isinstance(live, Pool)
    assert {id(live.of(name)[1]) for name in live.shapes} <= training
    assert not any(parameter.requires_grad for parameter in two.parameters())


def test_texts_of_a_batch_are_encoded_each_as_if_alone(
    tower: DualEncoder, make_lesson: MakeLesson, stir: Callable[[TrainingTask], None], ingredient: PoolIngredient
) -> None:
    state = None
    for code in ("de", "fr"):
        lesson = make_lesson(tower, [ingredient], (code,), state)
        for _ in range(5):
            stir(lesson)
        state = lesson.finish(1.0)
    assert state is not None
    route = state.route("de")
    texts = ["rot", "ein grünes Quadrat neben einem Kreis", "Kreis", "blau und rot", "noir", "carré"]
    together = tower.encode_tokens(tower.tokenizer.encode(texts), route)
    for text, row in zip(texts, together, strict=True):
        alone = tower.encode_tokens(tower.tokenizer.encode([text]), route)[0]
        torch.testing.assert_close(row, alone, atol=2e-5, rtol=1e-3)
    plain = tower.encode_tokens(tower.tokenizer.encode(texts))
    assert (together - plain).abs().max() > 1e-3
    low = tower.encode_tokens(tower.tokenizer.encode(texts), route, precision="bf16")
    torch.testing.assert_close(low, together, atol=0.15, rtol=0.15)


def test_the_query_is_the_models_own_embedding_without_prompts(
    base: DualEncoder, make_lesson: MakeLesson, stir: Callable[[TrainingTask], None], ingredient: PoolIngredient
) -> None:
    lesson = make_lesson(base, [LoraIngredient(True, ("q",), 2), ingredient])
    stir(lesson)
    route = lesson.stacks["de"]
    # In order of length, which is the order in which they are encoded.
    tokens = base.tokenizer.encode(["blau", "roter Kreis"])
    before = route.probe()
    assert before is not None
    assert [part.kind for part in before.parts] == ["lora"]
    assert route.merged(base.text) is route
    query = base.encode_tokens(tokens, before)
    by_hand = base.encode_tokens(tokens, route.condition_on(query))
    torch.testing.assert_close(base.encode_tokens(tokens, route), by_hand)
    assert isinstance(route.condition_on(query), ConditionedStack)


def test_stored_and_restored_it_is_the_same(
    base: DualEncoder, make_lesson: MakeLesson, stir: Callable[[TrainingTask], None], ingredient: PoolIngredient
) -> None:
    lesson = make_lesson(base, [ingredient])
    stir(lesson)
    part = pool_of(lesson.finish(1.0), ingredient)
    again = type(part).restore(base, part.tensors(), part.description())
    assert again.description() == part.description()
    for name, tensor in part.tensors().items():
        assert torch.equal(again.tensors()[name], tensor)
    for wrong in ({"tasks": 2}, {"tasks": -1}, {"tasks": 10**12}, {"tasks": "x"}):
        with pytest.raises(PackError):
            type(part).restore(base, part.tensors(), {**part.description(), **wrong})


def test_other_sizes_cannot_go_on_with_a_pool(base: DualEncoder, make_lesson: MakeLesson) -> None:
    state = make_lesson(base, [CodaPromptIngredient(components=3)]).finish(1.0)
    with pytest.raises(ConfigError, match="the pack's coda_prompt"):
        make_lesson(base, [CodaPromptIngredient(components=4)], ("fr",), state)


def test_blocks_that_the_tower_lacks_are_left_out_but_not_all(base: DualEncoder) -> None:
    text = base.text.config
    assert DualPrompt(text, (0, 1), 1, (1, 2, 3), 8).expert_blocks == (1,)
    assert CodaPrompt(text, (0, 1, 2, 3, 4), 5, 1).blocks == (0, 1)
    with pytest.raises(ConfigError, match="the tower has 2 blocks"):
        DualPrompt(text, (0, 1), 1, (2, 3, 4), 8)
