"""Stacks: modules of every kind together, in each place of the tower in the stated way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import strategies as st

from glotclip.methods.module import ALL
from glotclip.methods.stack import ModuleStack, PackState, merge_hooks, overriding
from glotclip.models.hooks import BlockHooks, Map, TextHooks

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

    Stir = Callable[[TrainingTask], None]


class Silent(TextHooks):
    """Acts nowhere."""


class Marked(TextHooks):
    """Gives one named tensor in each place."""

    def __init__(self, value: float, place: str) -> None:
        super().__init__()
        self.value, self.place = value, place

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        return {self.place: torch.tensor(self.value)}

    def prompt(self, table: torch.Tensor) -> torch.Tensor | None:
        return torch.full((2, table.shape[1]), self.value) if self.value else None


def test_only_the_hooks_that_a_module_overrides_are_called(base: DualEncoder, make_task: MakeTask) -> None:
    acquirer, lora = make_task(base, ["acquirer", "lora"]).stacks["de"].text_modules
    hooks = [Silent(), acquirer, lora]
    assert overriding(hooks, "block_hooks") == [lora]
    assert overriding(hooks, "after_block") == [acquirer]
    assert overriding(hooks, "prompt") == overriding(hooks, "parameter_overrides") == []
    stack = ModuleStack(hooks)
    assert stack.text_modules == [acquirer, lora]
    assert stack.probe() is None
    assert stack.condition_on(torch.zeros(2, 16)) is stack
    assert ModuleStack([Silent()]).block_hooks(0) is None
    assert ModuleStack([]).prompt(torch.zeros(3, 4)) is None


def test_overrides_and_prompts_come_in_order() -> None:
    stack = ModuleStack(
        [Marked(1.0, "positions"), Marked(2.0, "norm.bias"), Marked(3.0, "positions"), Marked(0.0, "x")]
    )
    assert {name: float(value) for name, value in stack.parameter_overrides().items()} == {
        "positions": 3.0, "norm.bias": 2.0, "x": 0.0,
    }  # fmt: skip
    prompt = stack.prompt(torch.zeros(5, 4))
    assert prompt is not None
    assert prompt[:, 0].tolist() == [1, 1, 2, 2, 3, 3]


def affine(a: float, b: float) -> Map:
    return lambda x: a * x + b


PAIRS = st.tuples(st.integers(-3, 3), st.integers(-3, 3))


@drawn(
    st.lists(st.fixed_dictionaries({}, optional={"q": PAIRS, "up": PAIRS, "after": PAIRS, "w": PAIRS}), max_size=4)
)
def test_hooks_of_a_block_are_merged_as_stated(given: Sequence[Mapping[str, tuple[int, int]]]) -> None:
    """Later weights win, deltas add up, maps follow one another; integers make it exact."""
    hooks = [
        BlockHooks(
            weights={"up": torch.tensor(each["w"])} if "w" in each else {},
            deltas={name: affine(*each[name]) for name in ("q", "up") if name in each},
            after_mlp=affine(*each["after"]) if "after" in each else None,
            prefix=(torch.tensor([each["w"]]), -torch.tensor([each["w"]])) if "w" in each else None,
        )
        for each in given
    ]
    got = merge_hooks(hooks)
    if not given:
        assert got is None
        return
    assert got is not None
    x = torch.tensor([2.0, -5.0])
    for name in ("q", "up"):
        maps = [each[name] for each in given if name in each]
        assert (name in got.deltas) is bool(maps)
        if maps:
            assert torch.equal(got.deltas[name](x), sum((a * x + b for a, b in maps), torch.zeros(2)))
    expected = x
    for each in given:
        if "after" in each:
            expected = each["after"][0] * expected + each["after"][1]
    assert torch.equal(x if got.after_mlp is None else got.after_mlp(x), expected)
    assert got.after_attention is None
    weights = [list(each["w"]) for each in given if "w" in each]
    assert [tensor.tolist() for tensor in got.weights.values()] == weights[-1:]
    assert (got.prefix is None) is (not weights)
    if got.prefix:
        assert got.prefix[0].tolist() == weights
        assert torch.equal(got.prefix[1], -got.prefix[0])


@pytest.mark.parametrize("lengths", [(1, 2), (2, 1)])
def test_prefixes_of_texts_and_of_all_texts_are_joined(lengths: tuple[int, int]) -> None:
    """One module's keys are the same for all texts, the other's differ from text to text."""
    common, own = torch.rand(lengths[0], 4), torch.rand(3, lengths[1], 4)
    got = merge_hooks([BlockHooks(prefix=(common, -common)), BlockHooks(prefix=(own, -own))])
    assert got is not None
    assert got.prefix is not None
    for row in range(3):
        assert torch.equal(got.prefix[0][row], torch.cat([common, own[row]]))
        assert torch.equal(got.prefix[1][row], -torch.cat([common, own[row]]))


EVERY = ["acquirer", "adapter", "compacter", "lora", "soft-prompt", "prefix", "norms", "full", "table"]


@pytest.mark.parametrize(
    "kinds",
    [["lora"], ["lora", "norms"], ["lora", "adapter", "soft-prompt"], ["full", "table", "lora"], EVERY],
    ids=" ".join,
)
def test_a_merged_stack_gives_the_same_features(
    kinds: list[str], tower: DualEncoder, make_task: MakeTask, stir: Stir
) -> None:
    task = make_task(tower, kinds)
    stir(task)
    stack, tokens = task.finish(1.0).stack("de"), task.tokens["de"]
    expected = tower.encode_tokens(tokens, stack)
    merged = stack.merged(tower.text)
    scale = float(expected.abs().max())
    torch.testing.assert_close(tower.encode_tokens(tokens, merged), expected, atol=1e-5 * max(1, scale), rtol=0)
    assert not torch.allclose(tower.encode_tokens(tokens), expected, atol=1e-3)
    assert [module.kind for module in stack.mergeable] == ["lora"]
    for k in range(len(tower.text.blocks)):
        hooks = merged.block_hooks(k)
        assert hooks is not None
        assert not hooks.deltas
    assert torch.equal(tower.encode_tokens(tokens, stack), expected)  # the stack itself is as it was


def test_two_loras_merge_into_one_weight(base: DualEncoder, make_task: MakeTask, stir: Stir) -> None:
    """One shared by all languages, one of the language's own."""
    shared = make_task(base, ["lora"], shared=True)
    own = make_task(base, ["lora"], targets=("k", "down"), rank=2)
    for task in (shared, own):
        stir(task)
    modules = {ALL: shared.finish(1.0).modules[ALL], "de": own.finish(1.0).modules["de"]}
    stack, tokens = PackState(("de",), base.tokenizer, modules).stack("de"), own.tokens["de"]
    assert stack.mergeable == [*modules[ALL], *modules["de"]]
    merged = base.encode_tokens(tokens, stack.merged(base.text))
    torch.testing.assert_close(merged, base.encode_tokens(tokens, stack), atol=1e-5, rtol=0)


def test_nothing_to_merge_is_the_stack_itself(base: DualEncoder, make_task: MakeTask) -> None:
    stack = make_task(base, ["acquirer"]).stacks["de"]
    assert stack.merged(base.text) is stack


def test_merging_in_inference_mode_gives_weights_that_can_be_cast(
    base: DualEncoder, make_task: MakeTask, stir: Stir
) -> None:
    task = make_task(base, ["lora"], targets=("q", "v"), rank=8)
    stir(task)
    stack, tokens = task.finish(1.0).stack("de"), task.tokens["de"]
    with torch.inference_mode():
        merged = stack.merged(base.text)
    got = base.encode_tokens(tokens, merged, precision="bf16")
    expected = base.encode_tokens(tokens, stack)
    assert float((got - expected).norm() / expected.norm()) < 0.03


def test_a_packs_stack_is_its_shared_modules_and_the_languages_own(base: DualEncoder, make_task: MakeTask) -> None:
    shared, own = make_task(base, ["soft-prompt"], shared=True), make_task(base, ["acquirer"], ("de", "fr"))
    modules = {ALL: shared.finish(1.0).modules[ALL], **own.finish(1.0).modules}
    state = PackState(("en", "de", "fr"), base.tokenizer, modules)
    assert [module.kind for module in state.stack("de").text_modules] == ["soft-prompt", "acquirer"]
    assert [module.kind for module in state.stack("en").text_modules] == ["soft-prompt"]
    assert state.stack("de").key == state.stack("de").key
    assert len({state.stack(code).key for code in state.languages}) == 3
    assert state.module("acquirer", "de") is modules["de"][0]
    assert state.module("acquirer", ALL) is None
    with pytest.raises(KeyError):
        state.stack("hi")
