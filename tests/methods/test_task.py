"""Training tasks: what modules are made for, what trains how fast, what is stored, and texts of any tokens."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glotclip import api
from glotclip.methods.method import module_named
from glotclip.methods.module import ALL
from glotclip.methods.task import TrainingTask
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from tests.conftest import MakeBase
    from tests.methods.conftest import MakeTask

    from glotclip.methods.settings import ModuleSettings
    from glotclip.methods.stack import PackState
    from glotclip.models.dual_encoder import DualEncoder

    Stir = Callable[[TrainingTask], None]

UNSEEN = ("ЖЩЮ", "日本語 5", "qwx 7!", "ж")  # no token of these is in a training caption
EMBEDDINGS: dict[str, tuple[str, dict[str, Any]]] = {
    f"{kind}, {isolation}, vocabulary={size}": (kind, {"isolation": isolation, "vocabulary": size})
    for kind in ("lexicon", "multilingual")
    for isolation in ("shared", "per-language")
    for size in (0, 300)
}


# --- what is made ----------------------------------------


def test_modules_act_in_the_order_given_and_groups_of_one_name_are_joined(
    base: DualEncoder, make_task: MakeTask
) -> None:
    task = make_task(base, ["lexicon", "norms", "lora"], ("de", "fr"))
    assert task.name == "de+fr"
    assert task.languages == ("de", "fr")
    for code in task.languages:
        assert [module.kind for module in task.stacks[code].text_modules] == ["lexicon", "norms", "lora"]
    assert [group.name for group in task.groups] == ["lexicon", "norms, vectors", "lora"]
    lora, norms = task.groups[2], task.groups[1]
    assert lora.parameters == [p for code in task.languages for p in task.modules[code][1].parameters()]
    assert task.trainable == sum(group.size for group in task.groups)
    assert task.facts["lora_weights"] == lora.size
    assert task.facts["norms_weights"] == norms.size
    assert task.facts["rows_trained"] * 32 == task.groups[0].size


def test_no_two_tasks_share_a_parameter(base: DualEncoder, make_task: MakeTask, stir: Stir) -> None:
    """What a later task trains leaves the pack it started from as it is."""
    kinds = ["lexicon", "norms", "lora"]
    first = make_task(base, kinds, shared=True).finish(1.0)
    before = {name: tensor.clone() for m in first.modules[ALL] for name, tensor in m.tensors().items()}
    second = make_task(base, kinds, ("fr",), first, shared=True)
    stir(second)
    after = {name: tensor for m in first.modules[ALL] for name, tensor in m.tensors().items()}
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    second.finish(1.0)
    assert not any(weight.requires_grad for module in first.modules[ALL] for weight in module.parameters())


def test_the_embedding_learns_at_a_rate_of_its_own(base: DualEncoder, make_task: MakeTask) -> None:
    multilingual = {"multilingual_rows", "multilingual_projection", "multilingual_bias"}
    for embedding, own in (("lexicon", {"lexicon"}), ("multilingual", multilingual)):
        task = make_task(base, [embedding, "acquirer"], embedding=embedding, embedding_rate=0.25)
        scales = {group.name: group.lr_scale for group in task.groups}
        assert {name for name, scale in scales.items() if scale == 0.25} == own
        assert {scale for name, scale in scales.items() if name not in own} == {1.0}


@pytest.mark.parametrize("embedding", ["lexicon", "multilingual"])
def test_an_embedding_that_trains_first_stays_with_its_tokenizer(
    base: DualEncoder, make_task: MakeTask, stir: Stir, embedding: str
) -> None:
    settings: dict[str, Any] = {
        "isolation": "shared", "embedding": embedding, "embedding_trains": "first", "vocabulary": 300,
    }  # fmt: skip
    first = make_task(base, [embedding, "acquirer"], **settings)
    assert first.tokenizer.vocab_size > base.tokenizer.vocab_size
    stir(first)
    state = first.finish(1.0)
    second = make_task(base, [embedding, "acquirer"], ("fr",), state, **settings)
    assert second.tokenizer is state.tokenizer
    assert second.shared_modules == state.modules[ALL]
    assert {group.name for group in second.groups} == {"acquirer", "acquirer, vectors"}
    assert set(second.facts) == {"acquirer_weights"}
    stir(second)
    after, tokens = second.finish(0.5), first.tokens["de"]
    assert torch.equal(base.encode_tokens(tokens, after.stack("de")), base.encode_tokens(tokens, state.stack("de")))
    assert set(after.modules) == {ALL, "de", "fr"}
    always = make_task(base, [embedding, "acquirer"], ("fr",), state, **{**settings, "embedding_trains": "always"})
    assert always.tokenizer.vocab_size > state.tokenizer.vocab_size
    assert embedding in {group.name.split("_")[0] for group in always.groups}


def test_replayed_languages_keep_their_own_modules(
    base: DualEncoder, make_task: MakeTask, tiny_settings: Callable[..., ModuleSettings]
) -> None:
    modules = [module_named(kind) for kind in ("lexicon", "acquirer")]
    state = make_task(base, ["lexicon", "acquirer"], isolation="shared").finish(1.0)
    task = TrainingTask(base, state, {"fr": ["cercle rouge"]}, replay_texts={"de": ["roter Kreis"]})
    task.prepare(modules, tiny_settings(isolation="shared"))
    french, german = task.stacks["fr"].text_modules, task.stacks["de"].text_modules
    assert german[0] is french[0]
    assert german[1] is state.modules["de"][0]
    assert task.languages == ("fr",)
    trained = {id(weight) for group in task.groups for weight in group.parameters}
    assert not trained & {id(weight) for weight in german[1].parameters()}
    assert set(task.finish(1.0).modules) == {ALL, "de", "fr"}


@pytest.mark.parametrize("covers_base", [False, True])
def test_the_bases_languages_join_a_pack_that_covers_them(
    base: DualEncoder, tiny_settings: Callable[..., ModuleSettings], covers_base: bool
) -> None:
    def learnt(code: str, previous: PackState | None) -> PackState:
        task = TrainingTask(base, previous, {code: ["x"]}, covers_base=covers_base)
        return task.prepare([module_named("acquirer")], tiny_settings(shared=True)).finish(1.0)

    native = tuple(base.languages) if covers_base else ()
    first = learnt("de", None)
    assert first.languages == (*native, "de")
    assert learnt("fr", first).languages == (*native, "de", "fr")
    assert learnt("de", first).languages == (*native, "de")


def test_a_module_of_another_method_stays_in_the_pack(base: DualEncoder, make_task: MakeTask) -> None:
    first = make_task(base, ["lexicon", "acquirer"], shared=True).finish(1.0)
    second = make_task(base, ["acquirer"], ("fr",), first, shared=True).finish(1.0)
    assert [module.kind for module in second.modules[ALL]] == ["lexicon", "acquirer"]
    assert second.modules[ALL][0] is first.modules[ALL][0]
    assert second.modules[ALL][1] is not first.modules[ALL][1]


# --- texts of any tokens ----------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", EMBEDDINGS)
def test_validation_captions_may_hold_tokens_that_never_occur_in_training(
    name: str, make_base: MakeBase, drawn: Path, tmp_path: Path
) -> None:
    embedding, settings = EMBEDDINGS[name]
    with drawn.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["lang"] == "de"]
    for place, row in enumerate(rows):
        row["image"] = str(drawn.parent / row["image"])
        if row["split"] == "test":
            row.update(split="validation", text=f"{UNSEEN[place % len(UNSEEN)]} {place}")
    with (tmp_path / "captions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    small = {"steps": 4, "batch_size": 4, "evaluate_every": 1, "precision": "fp32", "lr": 0.01, **settings}
    method = "lexicon" if embedding == "lexicon" else "acquirer"
    if method == "acquirer":
        small |= {"embedding": embedding, "bottleneck": 4}
    base = make_base()
    made = api.extend(
        Polyglot(base), "de", data=tmp_path / "captions.csv", method=method, out=tmp_path / "out",
        settings=small, benchmark=False, cache=tmp_path / "cache",
    )  # fmt: skip
    assert api.load(made.folder, base=base).encode_text(list(UNSEEN), lang="de").isfinite().all()


@pytest.fixture(scope="module")
def moved(base: DualEncoder, make_task: MakeTask, stir: Stir) -> dict[str, tuple[TrainingTask, PackState]]:
    """Tasks with each embedding, the second of a pack, after training; and what is stored of them."""
    found = {}
    for name, (embedding, settings) in EMBEDDINGS.items():
        first = make_task(base, [embedding], ("fr",), embedding=embedding, **settings)
        stir(first)
        task = make_task(base, [embedding], ("de",), first.finish(1.0), embedding=embedding, **settings)
        stir(task)
        found[name] = task, task.finish(1.0)
    return found


@pytest.mark.slow
@given(st.text(max_size=12))
def test_any_text_has_the_features_in_validation_that_the_stored_pack_gives_it(
    base: DualEncoder, moved: dict[str, tuple[TrainingTask, PackState]], text: str
) -> None:
    for name, (task, stored) in moved.items():
        tokens = task.tokenizer.encode([text])
        trained = base.encode_tokens(tokens, task.stacks["de"])
        assert torch.equal(trained, base.encode_tokens(tokens, stored.stack("de"))), name
