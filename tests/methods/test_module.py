"""What holds for all modules alike: where they start, what trains, and that a pack keeps every bit of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.errors import ConfigError, PackError
from glotclip.methods.acquirer import Acquirer, AcquirerIngredient
from glotclip.methods.adapter import Adapter
from glotclip.methods.compacter import Compacter
from glotclip.methods.lora import Lora
from glotclip.methods.module import ModulePart, share
from glotclip.methods.prefix import PrefixNetwork
from glotclip.methods.prompt import SoftPrompt
from glotclip.methods.stack import ALL
from glotclip.methods.tuning import Norms
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.packs.pack import PARTS, LanguagePack, write_pack

if TYPE_CHECKING:
    from tests.methods.conftest import MakeLesson

    from glotclip.methods.stack import PackState
    from glotclip.methods.task import Ingredient, TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

    MakeIngredients = Callable[..., dict[str, Ingredient]]

KINDS = ["acquirer", "adapter", "compacter", "lora", "soft_prompt", "prefix", "norms", "tower", "table"]
STARTS_AT_THE_BASE = {"acquirer", "lora", "norms", "tower", "table"}
STARTS_NEAR_THE_BASE = {"adapter", "compacter"}

XLMR_LARGE = TextConfig(
    width=1024, layers=24, heads=16, mlp_width=4096, vocab_size=250_002, context_length=512, embed_dim=768,
    activation="gelu", causal=False, pooling="mean", norms="post", projection_bias=True,
)  # fmt: skip
PECT_TOWER = 560_677_632  # with XLM-R's unused pooler, as the paper counts
CLIP = TextConfig()


def only(lesson: TrainingTask, code: str = "de") -> ModulePart:
    (part,) = lesson.stacks[code].parts
    assert isinstance(part, ModulePart)
    return part


def write(folder: Path, state: PackState, base: DualEncoder) -> Path:
    facts: dict[str, Any] = {"settings": {}, "data": {}, "scores": {}}
    write_pack(folder, state, name="de", method="modules", learnt=["de"], base=base, **facts)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_where_training_starts(
    kind: str, tower: DualEncoder, ingredients: MakeIngredients, make_lesson: MakeLesson
) -> None:
    lesson = make_lesson(tower, [ingredients()[kind]])
    plain = tower.encode_tokens(lesson.tokens["de"])
    got = tower.encode_tokens(lesson.tokens["de"], lesson.stacks["de"])
    if kind in STARTS_AT_THE_BASE:
        assert torch.equal(got, plain)
    elif kind in STARTS_NEAR_THE_BASE:
        assert not torch.equal(got, plain)
        assert float((got - plain).norm() / plain.norm()) < 0.02
    else:
        assert float((got - plain).norm() / plain.norm()) > 0.02


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_weight_that_can_matter(
    kind: str,
    precision: torch.dtype,
    tower: DualEncoder,
    ingredients: MakeIngredients,
    make_lesson: MakeLesson,
    stir: Callable[[TrainingTask], None],
) -> None:
    lesson = make_lesson(tower, [ingredients()[kind]])
    stir(lesson)  # away from zeros, behind which gradients are zero
    full = None if tower.text.trims else tower.text.config.context_length
    ids, lengths = lesson.tokens["de"].padded(range(4), tower.tokenizer.pad_id, to=full)
    features = tower.text(torch.from_numpy(ids), torch.from_numpy(lengths), lesson.stacks["de"], precision=precision)
    features.square().sum().backward()
    weights = [weight for group in lesson.groups for weight in group.parameters]
    assert all(weight.dtype == torch.float32 for weight in weights)
    dead = [weight for weight in weights if weight.grad is None or not bool(weight.grad.any())]
    assert dead == []
    assert {id(weight) for weight in weights} == {id(weight) for weight in only(lesson).parameters()}
    assert all(parameter.grad is None for parameter in tower.text.parameters())
    assert lesson.trainable == only(lesson).size == lesson.facts[f"{only(lesson).kind}_weights"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pack_keeps_every_bit(
    kind: str,
    tower: DualEncoder,
    ingredients: MakeIngredients,
    make_lesson: MakeLesson,
    stir: Callable[[TrainingTask], None],
    tmp_path: Path,
) -> None:
    lesson = make_lesson(tower, [ingredients()[kind]])
    stir(lesson)
    tokens = lesson.tokens["de"]
    trained = tower.encode_tokens(tokens, lesson.stacks["de"])
    state = lesson.finish(1.0)
    loaded = LanguagePack.load(write(tmp_path / "de-1", state, tower), tower).state
    for kept in (state, loaded):
        assert torch.equal(tower.encode_tokens(tokens, kept.route("de")), trained)
        assert not any(parameter.requires_grad for parameter in kept.route("de").parameters())
    stir(lesson)  # training on must not reach what was stored
    assert torch.equal(tower.encode_tokens(tokens, state.route("de")), trained)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_that_do_not_fit_are_refused(
    kind: str, base: DualEncoder, ingredients: MakeIngredients, make_lesson: MakeLesson
) -> None:
    (part,) = make_lesson(base, [ingredients()[kind]]).finish(1.0).parts["de"]
    restore, said, tensors = PARTS[part.kind].restore, part.description(), part.tensors()
    assert set(restore(base, tensors, said).tensors()) == set(tensors)
    name = next(iter(tensors))
    fewer = {key: tensor for key, tensor in tensors.items() if key != name}
    cases: dict[str, Mapping[str, torch.Tensor]] = {
        "lacks": fewer,
        "unknown": {**tensors, "surprise": torch.zeros(2)},
        "needs weights of shape": {**tensors, name: tensors[name][:-1]},
        "int64": {**tensors, name: tensors[name].long()},
    }
    for message, given in cases.items():
        with pytest.raises(PackError, match=message) as caught:
            restore(base, given, said)
        assert caught.value.hint
    for key in said:
        lacking = {k: v for k, v in said.items() if k != key}
        # A pack that does not say its activation is older than the choice.
        for wrong in ({**said, key: "many"}, {**said, key: 0}, *([lacking] if key != "activation" else [])):
            with pytest.raises(PackError):
                restore(base, tensors, wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_scopes(
    kind: str,
    base: DualEncoder,
    ingredients: MakeIngredients,
    make_lesson: MakeLesson,
    stir: Callable[[TrainingTask], None],
) -> None:
    """Per language: fresh for each, the others stay. Shared: the next task goes on with the one there is."""
    own = make_lesson(base, [ingredients()[kind]], ("de", "fr"))
    assert only(own, "de") is not only(own, "fr")
    stir(own)
    first = own.finish(1.0)
    assert set(first.parts) == {"de", "fr"}
    again = make_lesson(base, [ingredients()[kind]], ("fr",), first).finish(1.0)
    assert again.parts["de"] == first.parts["de"]
    assert again.languages == ("de", "fr")

    shared = make_lesson(base, [ingredients(shared=True)[kind]], ("de", "fr"))
    assert only(shared, "de") is only(shared, "fr")
    stir(shared)
    state = shared.finish(1.0)
    assert set(state.parts) == {ALL}
    before = base.encode_tokens(shared.tokens["de"], state.route("de"))
    later = make_lesson(base, [ingredients(shared=True)[kind]], ("fr",), state)
    assert only(later, "fr").size > 0
    assert torch.equal(base.encode_tokens(shared.tokens["de"], later.stacks["fr"]), before)
    assert all(weight.requires_grad for group in later.groups for weight in group.parameters)
    stir(later)
    assert torch.equal(base.encode_tokens(shared.tokens["de"], state.route("de")), before)


def test_draws_depend_on_seed_and_language_alone(
    base: DualEncoder, ingredients: MakeIngredients, make_lesson: MakeLesson
) -> None:
    kinds = [ingredients()[kind] for kind in KINDS]
    torch.manual_seed(5)
    one = make_lesson(base, kinds)
    torch.manual_seed(6)
    state_before = torch.get_rng_state()
    same, other = make_lesson(base, kinds), make_lesson(base, kinds, seed=4)
    assert torch.equal(torch.get_rng_state(), state_before)

    def weights(lesson: TrainingTask) -> list[torch.Tensor]:
        return list(lesson.stacks["de"].parameters())

    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(same), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_other_sizes_than_the_packs_are_refused(base: DualEncoder, make_lesson: MakeLesson) -> None:
    state = make_lesson(base, [AcquirerIngredient(shared=True, bottleneck=6)]).finish(1.0)
    with pytest.raises(ConfigError, match=r"has \{'bottleneck': 6\}, the settings ask for \{'bottleneck': 7\}"):
        make_lesson(base, [AcquirerIngredient(shared=True, bottleneck=7)], ("fr",), state)


def test_only_matrices_decay(base: DualEncoder, ingredients: MakeIngredients, make_lesson: MakeLesson) -> None:
    lesson = make_lesson(base, [ingredients()["tower"], ingredients()["adapter"]])
    for group in lesson.groups:
        assert {weight.dim() > 1 for weight in group.parameters} == {group.weight_decay}


def test_counts_are_those_of_the_papers() -> None:
    """PECT §3 on XLM-R large, MLA §1 and CLL-CLIP §5.6, 5.7 on CLIP's text tower."""
    with torch.device("meta"):
        norms = Norms(XLMR_LARGE)
        table: list[tuple[ModulePart, int, float | None]] = [
            (Lora(XLMR_LARGE, ("q", "v"), 8, 16), 786_432, 0.1576),
            (Adapter(XLMR_LARGE, 24), 2_409_600, 0.4454),
            (Compacter(XLMR_LARGE, 16, 4, 1), 162_816, 0.0466),
        ]
        for part, size, percent in table:
            assert part.size == size
            assert 100 * share([part, norms], PECT_TOWER) == pytest.approx(percent, abs=5e-5)
        assert norms.size == 98_304
        prompt = SoftPrompt(XLMR_LARGE, 4)
        assert prompt.size == 4096
        assert 100 * share([prompt], PECT_TOWER) == pytest.approx(0.0007, abs=5e-5)
        assert Compacter(XLMR_LARGE, 16, 4, 1).size == 48 * 3_392
        assert Lora(XLMR_LARGE, ("q", "k", "v", "out"), 1, 16).size == 196_608
        assert Acquirer(CLIP, 256).size == 3_154_944
        assert PrefixNetwork(CLIP, 30).size == 6_581_760
        assert Lora(CLIP, ("q", "v"), 8, 8).size == 196_608


def test_full_fine_tuning_is_every_weight_of_the_tower() -> None:
    with torch.device("meta"):
        for config in (CLIP, XLMR_LARGE):
            whole = [PARTS[kind].sized(config, {}) for kind in ("tower", "table")]  # type: ignore[attr-defined]
            tower = sum(parameter.numel() for parameter in TextTower(config).parameters())
            assert sum(part.size for part in whole) == tower
            assert share(whole, tower) == 1.0
