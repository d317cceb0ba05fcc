"""What holds for all modules alike: where they start, what trains, and that a pack keeps every bit of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.config import Settings
from glotclip.errors import ConfigError, PackError
from glotclip.methods.acquirer import Acquirer
from glotclip.methods.adapter import Adapter
from glotclip.methods.compacter import Compacter
from glotclip.methods.lora import Lora
from glotclip.methods.method import module_named
from glotclip.methods.module import ALL, TextModule, draw_linear, register_method, trained_share
from glotclip.methods.prefix import Prefix, PrefixNetwork
from glotclip.methods.prompt import SoftPrompt
from glotclip.methods.tuning import Norms
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.packs.pack import LanguagePack, write_pack

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.methods.stack import PackState
    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

    Stir = Callable[[TrainingTask], None]

pytestmark = pytest.mark.slow

KINDS = ["acquirer", "adapter", "compacter", "lora", "soft-prompt", "prefix", "norms", "full", "table"]
STARTS_AT_THE_BASE = {"acquirer", "lora", "norms", "full", "table"}
STARTS_NEAR_THE_BASE = {"adapter", "compacter"}

XLMR_LARGE = TextConfig(
    width=1024, layers=24, heads=16, mlp_width=4096, vocab_size=250_002, context_length=512, embed_dim=768,
    activation="gelu", causal=False, pooling="mean", norms="post", projection_bias=True,
)  # fmt: skip
PECT_TOWER = 560_677_632  # with XLM-R's unused pooler, as the paper counts
CLIP = TextConfig()


def only(task: TrainingTask, code: str = "de") -> TextModule:
    (module,) = task.stacks[code].text_modules
    return module


def write(folder: Path, state: PackState, base: DualEncoder) -> Path:
    facts: dict[str, Any] = {"settings": {}, "data": {}, "scores": {}}
    write_pack(folder, state, name="de", method="modules", learnt=["de"], base=base, **facts)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_where_training_starts(kind: str, tower: DualEncoder, make_task: MakeTask) -> None:
    task = make_task(tower, [kind])
    plain = tower.encode_tokens(task.tokens["de"])
    got = tower.encode_tokens(task.tokens["de"], task.stacks["de"])
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
    kind: str, precision: torch.dtype, tower: DualEncoder, make_task: MakeTask, stir: Stir
) -> None:
    task = make_task(tower, [kind])
    stir(task)  # away from zeros, behind which gradients are zero
    full = None if tower.text.trims else tower.text.config.context_length
    ids, lengths = task.tokens["de"].padded(range(4), tower.tokenizer.pad_id, to=full)
    features = tower.text(torch.from_numpy(ids), torch.from_numpy(lengths), task.stacks["de"], precision=precision)
    features.square().sum().backward()
    weights = [weight for group in task.groups for weight in group.parameters]
    assert all(weight.dtype == torch.float32 for weight in weights)
    dead = [weight for weight in weights if weight.grad is None or not bool(weight.grad.any())]
    assert dead == []
    assert {id(weight) for weight in weights} == {id(weight) for weight in only(task).parameters()}
    assert all(parameter.grad is None for parameter in tower.text.parameters())
    assert task.trainable == only(task).size == task.facts[f"{kind}_weights"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pack_keeps_every_bit(
    kind: str, tower: DualEncoder, make_task: MakeTask, stir: Stir, tmp_path: Path
) -> None:
    task = make_task(tower, [kind])
    stir(task)
    tokens = task.tokens["de"]
    trained = tower.encode_tokens(tokens, task.stacks["de"])
    state = task.finish(1.0)
    loaded = LanguagePack.load(write(tmp_path / "de-1", state, tower), tower).state
    for kept in (state, loaded):
        assert torch.equal(tower.encode_tokens(tokens, kept.stack("de")), trained)
        assert not any(parameter.requires_grad for parameter in kept.stack("de").parameters())
    stir(task)  # training on must not reach what was stored
    assert torch.equal(tower.encode_tokens(tokens, state.stack("de")), trained)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_do_not_fit_are_refused(kind: str, base: DualEncoder, make_task: MakeTask) -> None:
    (module,) = make_task(base, [kind]).finish(1.0).modules["de"]
    restore, said, tensors = module_named(module.kind).restore, module.description(), module.tensors()
    assert module.kind == kind
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


@pytest.mark.parametrize("kind", [*KINDS, "dual-prompt", "coda-prompt"])
def test_a_description_must_be_whole_and_make_sense(kind: str, base: DualEncoder, make_task: MakeTask) -> None:
    """A size or a choice that it does not tell is never guessed: the default may be another one."""
    (module,) = make_task(base, [kind], shared=True).finish(1.0).modules[ALL]
    restore, said, tensors = module_named(kind).restore, module.description(), module.tensors()
    assert restore(base, tensors, said).description() == said
    for key in said:
        for wrong in ({**said, key: "many"}, {**said, key: 0}, {k: v for k, v in said.items() if k != key}):
            with pytest.raises(PackError, match=f"the {kind} module") as caught:
                restore(base, tensors, wrong)
            assert caught.value.hint
    with pytest.raises(PackError, match="does not make sense: surprise"):
        restore(base, tensors, {**said, "surprise": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_scopes(kind: str, base: DualEncoder, make_task: MakeTask, stir: Stir) -> None:
    """Per language: new ones for each, the others stay. Shared: the next task goes on with the one there is."""
    own = make_task(base, [kind], ("de", "fr"))
    assert only(own, "de") is not only(own, "fr")
    stir(own)
    first = own.finish(1.0)
    assert set(first.modules) == {"de", "fr"}
    again = make_task(base, [kind], ("fr",), first).finish(1.0)
    assert again.modules["de"] == first.modules["de"]
    assert again.modules["fr"] != first.modules["fr"]
    assert again.languages == ("de", "fr")

    shared = make_task(base, [kind], ("de", "fr"), shared=True)
    assert only(shared, "de") is only(shared, "fr")
    stir(shared)
    state = shared.finish(1.0)
    assert set(state.modules) == {ALL}
    before = base.encode_tokens(shared.tokens["de"], state.stack("de"))
    later = make_task(base, [kind], ("fr",), state, shared=True)
    assert only(later, "fr").size > 0
    assert torch.equal(base.encode_tokens(shared.tokens["de"], later.stacks["fr"]), before)
    assert all(weight.requires_grad for group in later.groups for weight in group.parameters)
    stir(later)
    assert torch.equal(base.encode_tokens(shared.tokens["de"], state.stack("de")), before)


def test_draws_depend_on_seed_and_language_alone(base: DualEncoder, make_task: MakeTask) -> None:
    torch.manual_seed(5)
    one = make_task(base, KINDS)
    torch.manual_seed(6)
    state_before = torch.get_rng_state()
    same, other = make_task(base, KINDS), make_task(base, KINDS, seed=4)
    assert torch.equal(torch.get_rng_state(), state_before)

    def weights(task: TrainingTask) -> list[torch.Tensor]:
        return list(task.stacks["de"].parameters())

    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(same), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_other_sizes_than_the_packs_are_refused(base: DualEncoder, make_task: MakeTask) -> None:
    state = make_task(base, ["acquirer"], shared=True, bottleneck=6).finish(1.0)
    message = r"the pack's acquirer has \{'bottleneck': 6\}, the settings ask for \{'bottleneck': 7\}"
    with pytest.raises(ConfigError, match=message):
        make_task(base, ["acquirer"], ("fr",), state, shared=True, bottleneck=7)


def test_only_matrices_decay(base: DualEncoder, make_task: MakeTask) -> None:
    for group in make_task(base, ["full", "adapter"]).groups:
        assert {weight.dim() > 1 for weight in group.parameters} == {group.weight_decay}


def test_counts_are_those_of_the_papers() -> None:
    """PECT §3 on XLM-R large, MLA §1 and CLL-CLIP §5.6, 5.7 on CLIP's text tower."""
    with torch.device("meta"):
        norms, compacter = Norms(XLMR_LARGE, Settings()), Compacter(XLMR_LARGE, Compacter.Config())
        prompt = SoftPrompt(XLMR_LARGE, SoftPrompt.Config())
        table: list[tuple[list[TextModule], int, float]] = [
            ([Lora(XLMR_LARGE, Lora.Config()), norms], 786_432, 0.1576),
            ([Adapter(XLMR_LARGE, Adapter.Config()), norms], 2_409_600, 0.4454),
            ([compacter, norms], 162_816, 0.0466),
            ([prompt], 4096, 0.0007),
        ]
        for modules, size, percent in table:
            assert modules[0].size == size
            assert 100 * trained_share(modules, PECT_TOWER) == pytest.approx(percent, abs=5e-5)
        assert norms.size == 98_304
        assert compacter.size == 48 * 3_392
        four_maps = Lora.Config(targets=("q", "k", "v", "out"), rank=1)
        assert Lora(XLMR_LARGE, four_maps).size == 196_608
        assert Acquirer(CLIP, Acquirer.Config()).size == 3_154_944
        assert PrefixNetwork(CLIP, Prefix.Config()).size == 6_581_760
        assert Lora(CLIP, Lora.Config()).size == 196_608


def test_full_fine_tuning_is_every_weight_of_the_tower() -> None:
    with torch.device("meta"):
        for config in (CLIP, XLMR_LARGE):
            whole = [module_named(kind)(config, Settings()) for kind in ("full", "table")]
            tower = sum(parameter.numel() for parameter in TextTower(config).parameters())
            assert sum(module.size for module in whole) == tower
            assert trained_share(whole, tower) == 1.0


def test_linear_maps_are_drawn_as_torch_has_it() -> None:
    weight, bias = torch.empty(300, 16), torch.empty(300)
    draw_linear(weight, bias, torch.Generator().manual_seed(0))
    theirs = torch.nn.Linear(16, 300)
    for mine, default in ((weight, theirs.weight), (bias, theirs.bias)):
        assert 0.23 < float(mine.abs().max()) <= 0.25  # 1/√16
        assert float(mine.std()) == pytest.approx(float(default.detach().std()), rel=0.15)


@pytest.mark.usefixtures("registry")
def test_a_name_is_given_once() -> None:
    def declare(file: str, name: str) -> type[TextModule]:
        return type(name, (TextModule,), {"__module__": file})

    register = register_method("toy", "for this test")
    first = register(declare("one.file", "Toy"))
    assert first.kind == "toy"
    assert module_named("toy") is first
    again = register(declare("one.file", "Toy"))  # the file was imported again
    assert module_named("toy") is again
    for other in (declare("one.file", "Other"), declare("another.file", "Toy")):
        with pytest.raises(ConfigError, match="called 'toy' already") as caught:
            register(other)
        assert caught.value.hint
    for taken in ("lora", "table"):
        with pytest.raises(ConfigError, match=f"called {taken!r} already"):
            register_method(taken, "")(declare("one.file", "Toy"))
