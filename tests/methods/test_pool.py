"""What pools share: a task's places train and no other's, both passes through the tower, and how they are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.config import settings_from
from glotclip.errors import ConfigError, PackError
from glotclip.methods.coda_prompt import CodaPrompt
from glotclip.methods.dual_prompt import DualPrompt
from glotclip.methods.method import method_named
from glotclip.methods.module import ALL
from glotclip.methods.pool import Pool

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.methods.stack import PackState
    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

    Stir = Callable[[TrainingTask], None]

SETTINGS: dict[str, Any] = {"shared": True, "general_blocks": (0,), "expert_blocks": (0, 1, 7)}


@pytest.fixture(params=["dual-prompt", "coda-prompt"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def pool_of(state: PackState, kind: str) -> Pool:
    module = state.module(kind, ALL)
    assert isinstance(module, Pool)
    return module


def test_every_task_has_places_and_only_the_last_ones_train(
    base: DualEncoder, make_task: MakeTask, stir: Stir, kind: str
) -> None:
    first = make_task(base, [kind], **SETTINGS)
    stir(first)
    state = first.finish(1.0)
    second = make_task(base, [kind], ("fr",), state, **SETTINGS)
    stir(second)
    after = second.finish(1.0)
    one, two = pool_of(state, kind), pool_of(after, kind)
    assert (one.tasks, two.tasks) == (1, 2)
    for name in one.shapes:
        assert torch.equal(one.of(name)[0], two.of(name)[0])
    training = {id(parameter) for group in second.groups for parameter in group.parameters}
    (live,) = second.stacks["fr"].text_modules
    assert isinstance(live, Pool)
    assert {id(live.of(name)[1]) for name in live.shapes} <= training
    assert not training & {id(live.of(name)[0]) for name in live.shapes}
    assert not any(parameter.requires_grad for parameter in two.parameters())


def test_texts_of_a_batch_are_encoded_each_as_if_alone(
    tower: DualEncoder, make_task: MakeTask, stir: Stir, kind: str
) -> None:
    state = None
    for code in ("de", "fr"):
        task = make_task(tower, [kind], (code,), state, **SETTINGS)
        for _ in range(5):
            stir(task)
        state = task.finish(1.0)
    assert state is not None
    stack = state.stack("de")
    texts = ["rot", "ein grünes Quadrat neben einem Kreis", "Kreis", "blau und rot", "noir", "carré"]
    batched = tower.encode_tokens(tower.tokenizer.encode(texts), stack)
    for text, row in zip(texts, batched, strict=True):
        alone = tower.encode_tokens(tower.tokenizer.encode([text]), stack)[0]
        torch.testing.assert_close(row, alone, atol=2e-5, rtol=1e-3)
    plain = tower.encode_tokens(tower.tokenizer.encode(texts))
    assert (batched - plain).abs().max() > 1e-3
    low = tower.encode_tokens(tower.tokenizer.encode(texts), stack, precision="bf16")
    torch.testing.assert_close(low, batched, atol=0.15, rtol=0.15)


def test_the_query_is_the_models_own_embedding_without_prompts(
    base: DualEncoder, make_task: MakeTask, stir: Stir, kind: str
) -> None:
    task = make_task(base, ["lora", kind], targets=("q",), rank=2, **SETTINGS)
    stir(task)
    stack = task.stacks["de"]
    # In order of length, which is the order in which they are encoded.
    tokens = base.tokenizer.encode(["blau", "roter Kreis"])
    probe = stack.probe()
    assert probe is not None
    assert [module.kind for module in probe.text_modules] == ["lora"]
    assert stack.merged(base.text) is stack  # a merged LoRA would have to act on the probe as well
    query = base.encode_tokens(tokens, probe)
    by_hand = base.encode_tokens(tokens, stack.condition_on(query))
    torch.testing.assert_close(base.encode_tokens(tokens, stack), by_hand)
    assert stack.condition_on(query).probe() is None


def test_stored_and_restored_it_is_the_same(base: DualEncoder, make_task: MakeTask, stir: Stir, kind: str) -> None:
    task = make_task(base, [kind], **SETTINGS)
    stir(task)
    module = pool_of(task.finish(1.0), kind)
    again = type(module).restore(base, module.tensors(), module.description())
    assert again.description() == module.description()
    for name, tensor in module.tensors().items():
        assert torch.equal(again.tensors()[name], tensor)
    for wrong in ({"tasks": 2}, {"tasks": -1}, {"tasks": 10**12}, {"tasks": "x"}):
        with pytest.raises(PackError):
            type(module).restore(base, module.tensors(), {**module.description(), **wrong})


def test_other_sizes_cannot_go_on_with_a_pool(base: DualEncoder, make_task: MakeTask) -> None:
    state = make_task(base, ["coda-prompt"], shared=True, components=3).finish(1.0)
    with pytest.raises(ConfigError, match="the pack's coda-prompt"):
        make_task(base, ["coda-prompt"], ("fr",), state, shared=True, components=4)


def test_blocks_that_the_tower_lacks_are_left_out_but_not_all(base: DualEncoder) -> None:
    text = base.text.config
    assert DualPrompt(text, DualPrompt.Config(expert_blocks=(1, 2, 3))).expert_blocks == (1,)
    assert CodaPrompt(text, CodaPrompt.Config()).blocks == (0, 1)
    with pytest.raises(ConfigError, match="the tower has 2 blocks"):
        DualPrompt(text, DualPrompt.Config())


def test_a_pool_is_shared_and_its_method_says_so_by_itself(kind: str) -> None:
    method = method_named(kind)
    assert settings_from(method.settings, method.defaults, where="its defaults").covers_base
    with pytest.raises(ConfigError, match="needs isolation=shared"):
        settings_from(method.settings, {**method.defaults, "isolation": "per-language"}, where="a test")
