"""Routes: parts of every kind together, in each place of the tower in the stated way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glotclip.methods.acquirer import AcquirerIngredient
from glotclip.methods.lora import Lora, LoraIngredient
from glotclip.methods.stack import ModuleStack, TextModule, merge_hooks, own_weights
from glotclip.models.blocks import NAMES, Block
from glotclip.models.hooks import BlockHooks, Map

if TYPE_CHECKING:
    from tests.methods.conftest import MakeLesson

    from glotclip.methods.task import Ingredient, TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

    MakeIngredients = Callable[..., dict[str, Ingredient]]
    Stir = Callable[[TrainingTask], None]


class Silent(TextModule):
    """Acts nowhere, and says so if it is asked nevertheless."""

    kind = "silent"

    def tensors(self) -> dict[str, torch.Tensor]:
        return {}

    @classmethod
    def restore(
        cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]
    ) -> Silent:
        return cls()


class Marked(Silent):
    """Gives one named tensor in each place."""

    def __init__(self, value: float, place: str) -> None:
        super().__init__()
        self.value, self.place = value, place

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        return {self.place: torch.tensor(self.value)}

    def prompt(self, table: torch.Tensor) -> torch.Tensor | None:
        return torch.full((2, table.shape[1]), self.value) if self.value else None


def test_only_the_places_that_a_part_overrides_are_called(base: DualEncoder, make_lesson: MakeLesson) -> None:
    lora = make_lesson(base, [LoraIngredient()]).stacks["de"].parts[0]
    acquirer = make_lesson(base, [AcquirerIngredient(bottleneck=4)]).stacks["de"].parts[0]
    assert isinstance(lora, Lora)
    route = ModuleStack([Silent(), acquirer, lora])  # type: ignore[list-item]
    assert route._inside == [lora]
    assert route._after == [acquirer]
    assert route._prompt == route._outside == []
    assert ModuleStack([Silent()]).block_hooks(0) is None
    assert ModuleStack([]).prompt(torch.zeros(3, 4)) is None


def test_outside_and_prompts_come_together_in_order() -> None:
    route = ModuleStack(
        [Marked(1.0, "positions"), Marked(2.0, "norm.bias"), Marked(3.0, "positions"), Marked(0.0, "x")]
    )
    assert {name: float(value) for name, value in route.parameter_overrides().items()} == {
        "positions": 3.0, "norm.bias": 2.0, "x": 0.0,
    }  # fmt: skip
    prompt = route.prompt(torch.zeros(5, 4))
    assert prompt is not None
    assert prompt[:, 0].tolist() == [1, 1, 2, 2, 3, 3]


def affine(a: float, b: float) -> Map:
    return lambda x: a * x + b


PAIRS = st.tuples(st.integers(-3, 3), st.integers(-3, 3))


@given(
    st.lists(st.fixed_dictionaries({}, optional={"q": PAIRS, "up": PAIRS, "after": PAIRS, "w": PAIRS}), max_size=4)
)
def test_insides_combine_as_stated(parts: Sequence[Mapping[str, tuple[int, int]]]) -> None:
    """Later weights win, deltas add up, maps follow one another; integers make it exact."""
    insides = [
        BlockHooks(
            weights={"up": torch.tensor(each["w"])} if "w" in each else {},
            deltas={name: affine(*each[name]) for name in ("q", "up") if name in each},
            after_mlp=affine(*each["after"]) if "after" in each else None,
            prefix=(torch.tensor([each["w"]]), -torch.tensor([each["w"]])) if "w" in each else None,
        )
        for each in parts
    ]
    got = merge_hooks(insides)
    if not parts:
        assert got is None
        return
    assert got is not None
    x = torch.tensor([2.0, -5.0])
    for name in ("q", "up"):
        maps = [each[name] for each in parts if name in each]
        assert (name in got.deltas) is bool(maps)
        if maps:
            assert torch.equal(got.deltas[name](x), sum((a * x + b for a, b in maps), torch.zeros(2)))
    expected = x
    for each in parts:
        if "after" in each:
            expected = each["after"][0] * expected + each["after"][1]
    assert torch.equal(x if got.after_mlp is None else got.after_mlp(x), expected)
    assert got.after_attention is None
    weights = [list(each["w"]) for each in parts if "w" in each]
    assert [tensor.tolist() for tensor in got.weights.values()] == weights[-1:]
    assert (got.prefix is None) is (not weights)
    if got.prefix:
        assert got.prefix[0].tolist() == weights
        assert torch.equal(got.prefix[1], -got.prefix[0])


def test_a_blocks_own_weights_have_the_towers_names(base: DualEncoder) -> None:
    block = base.text.blocks[0]
    assert isinstance(block, Block)
    own = own_weights(block)
    assert set(own) == set(NAMES)
    assert all(own[name] is getattr(block.weights(torch.float32), name) for name in NAMES)


@pytest.mark.parametrize(
    "kinds",
    [
        ["lora"], ["lora", "norms"], ["lora", "adapter", "soft_prompt"], ["tower", "table", "lora"],
        ["acquirer", "adapter", "compacter", "lora", "soft_prompt", "prefix", "norms", "tower", "table"],
    ],
)  # fmt: skip
def test_a_merged_route_gives_the_same_features(
    kinds: list[str], tower: DualEncoder, ingredients: MakeIngredients, make_lesson: MakeLesson, stir: Stir
) -> None:
    lesson = make_lesson(tower, [ingredients()[kind] for kind in kinds])
    stir(lesson)
    route, tokens = lesson.finish(1.0).route("de"), lesson.tokens["de"]
    expected = tower.encode_tokens(tokens, route)
    merged = route.merged(tower.text)
    scale = float(expected.abs().max())
    torch.testing.assert_close(tower.encode_tokens(tokens, merged), expected, atol=1e-5 * max(1, scale), rtol=0)
    assert not torch.allclose(tower.encode_tokens(tokens), expected, atol=1e-3)
    for k in range(len(tower.text.blocks)):
        block_hooks = merged.block_hooks(k)
        assert block_hooks is not None
        assert not block_hooks.deltas
    assert torch.equal(tower.encode_tokens(tokens, route), expected)  # the route is the way back


def test_two_loras_merge_into_one_weight(base: DualEncoder, make_lesson: MakeLesson, stir: Stir) -> None:
    """One shared by all languages, one of the language's own."""
    lesson = make_lesson(base, [LoraIngredient(shared=True), LoraIngredient(targets=("k", "down"), rank=2)])
    stir(lesson)
    route, tokens = lesson.finish(1.0).route("de"), lesson.tokens["de"]
    assert len(route.parts) == 2
    merged = base.encode_tokens(tokens, route.merged(base.text))
    torch.testing.assert_close(merged, base.encode_tokens(tokens, route), atol=1e-5, rtol=0)


def test_nothing_to_merge_is_the_route_itself(base: DualEncoder, make_lesson: MakeLesson) -> None:
    route = make_lesson(base, [AcquirerIngredient(bottleneck=4)]).stacks["de"]
    assert route.merged(base.text) is route


def test_merging_in_inference_mode_gives_weights_that_can_be_cast(
    base: DualEncoder, make_lesson: MakeLesson, stir: Stir
) -> None:
    lesson = make_lesson(base, [LoraIngredient()])
    stir(lesson)
    route, tokens = lesson.finish(1.0).route("de"), lesson.tokens["de"]
    with torch.inference_mode():
        merged = route.merged(base.text)
    got = base.encode_tokens(tokens, merged, precision="bf16")
    expected = base.encode_tokens(tokens, route)
    assert float((got - expected).norm() / expected.norm()) < 0.03
