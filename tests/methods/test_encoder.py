"""The method ``encoder``: what it solves, trains, stores and refuses, and that its packs serve what was learnt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tests.text_encoder_folders import make_folder, pooled
from typer.testing import CliRunner

import glotclip
from glotclip import api
from glotclip.cli.main import app
from glotclip.data.features import Features
from glotclip.errors import CheckpointError, ConfigError, FingerprintError, InterruptedRunError, PackError
from glotclip.methods.encoder import Encoder, EncoderConfig
from glotclip.methods.method import method_named
from glotclip.methods.stack import PackState
from glotclip.methods.task import TrainingTask
from glotclip.models.checkpoints import save_base
from glotclip.models.text_encoders import load_encoder
from glotclip.packs.folder import PolyglotFolder
from glotclip.training.callbacks import Callbacks
from glotclip.training.task_module import TaskModule

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.models.dual_encoder import DualEncoder

GERMAN = ["ein roter Kreis", "grünes Quadrat", "Katze", "Hund und Katze", "schwarz", "eine Katze", "rot und schwarz"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "xlmr"
    make_folder(path, "xlm-roberta")
    return path


def settings(folder: Path, **more: Any) -> EncoderConfig:
    config = method_named("encoder").config({"encoder": str(folder), **more})
    assert isinstance(config, EncoderConfig)
    return config


def task_of(base: DualEncoder, config: EncoderConfig, *, previous: PackState | None = None) -> TrainingTask:
    targets = np.random.default_rng(0).standard_normal((len(GERMAN), base.embed_dim), dtype=np.float32)
    rows = np.arange(len(GERMAN))
    rows[2] = -1  # one caption has no English
    task = TrainingTask(base, previous, {"de": GERMAN}, target_features={"de": Features(targets, rows)})
    return task.prepare(method_named("encoder").modules(config), config)


def module_of(task: TrainingTask) -> Encoder:
    (module,) = task.modules[next(iter(task.modules))]
    assert isinstance(module, Encoder)
    return module


# --- the solved start -----------------------------------------------------------------------------------------------


def test_the_start_is_solved_from_texts_with_a_counterpart(base: DualEncoder, folder: Path) -> None:
    task = task_of(base, settings(folder, encoder_ridge=1e-6))
    module, features = module_of(task), task.target_features["de"]
    own = base.encode_tokens(task.tokens["de"], task.stacks["de"])
    held = features.rows >= 0
    torch.testing.assert_close(own[held], torch.from_numpy(features.array[features.rows[held]]), atol=0.05, rtol=0)
    few = task_of(base, settings(folder, encoder_pairs=3))
    assert not torch.equal(module_of(few).projection, module.projection)
    drawn = module_of(task_of(base, settings(folder, encoder_start="random")))
    assert float(drawn.projection.detach().abs().max()) <= 32**-0.5


def test_features_are_the_encoders_under_the_projection(base: DualEncoder, folder: Path, tmp_path: Path) -> None:
    theirs = make_folder(tmp_path / "same", "xlm-roberta")
    task = task_of(base, settings(folder, encoder_layers=1, encoder_table=True))
    module = module_of(task)
    want = pooled(theirs, load_encoder(str(folder)), GERMAN, "mean") @ module.projection.detach().T + module.bias
    got = base.encode_tokens(task.tokens["de"], task.stacks["de"])
    torch.testing.assert_close(got, want.detach(), atol=1e-4, rtol=1e-4)


# --- what trains ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "table", "changed"),
    [(0, False, set()), (1, False, {1}), (-1, False, {0, 1}), (0, True, {"table"}), (-1, True, {0, 1, "table"})],
)
def test_what_trains_is_a_setting_and_the_encoder_itself_stays(
    layers: int, table: bool, changed: set[Any], base: DualEncoder, folder: Path
) -> None:
    encoder = load_encoder(str(folder))
    before = {name: tensor.clone() for name, tensor in encoder.text.state_dict().items()}
    task = task_of(base, settings(folder, encoder_layers=layers, encoder_table=table))
    module = module_of(task)
    ids, lengths = (torch.from_numpy(each) for each in task.tokens["de"].padded(range(3), 1))
    hooks = task.stacks["de"]
    hooks.tower(base.text)(ids, lengths, hooks).square().sum().backward()
    assert all(weight.grad is not None for weight in module.parameters())
    blocks = {int(name.split(".")[1]) + module.first for name, _ in module.named_parameters() if "blocks" in name}
    assert blocks | ({"table"} if module.rows is not None else set()) == changed
    assert task.trainable == sum(weight.numel() for weight in module.parameters())
    assert all(weight.grad is None for weight in encoder.text.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.text.state_dict().items())


@pytest.mark.parametrize(("layers", "table"), [(0, False), (1, True), (-1, True)])
def test_a_module_is_restored_to_the_bit(
    layers: int, table: bool, base: DualEncoder, folder: Path, stir: Callable[[TrainingTask], None]
) -> None:
    task = task_of(base, settings(folder, encoder_layers=layers, encoder_table=table))
    stir(task)
    stored = module_of(task).finished(1.0)
    again = Encoder.restore(base, stored.tensors(), json.loads(json.dumps(stored.description())))
    assert again.description() == stored.description()
    tokens = task.tokens["de"]
    assert torch.equal(base.encode_tokens(tokens, again), base.encode_tokens(tokens, task.stacks["de"]))
    assert not any(weight.requires_grad for weight in again.parameters())


def test_what_is_stored_whole_needs_no_encoder(base: DualEncoder, tmp_path: Path) -> None:
    make_folder(tmp_path / "gone", "bert")
    task = task_of(base, settings(tmp_path / "gone", encoder_layers=-1, encoder_table=True))
    stored, tokens = module_of(task).finished(1.0), task.tokens["de"]
    assert stored.own_tokenizer is None
    shutil.rmtree(tmp_path / "gone")
    again = Encoder.restore(base, stored.tensors(), stored.description())
    assert torch.equal(base.encode_tokens(tokens, again), base.encode_tokens(tokens, task.stacks["de"]))


def test_damage_is_refused(base: DualEncoder, folder: Path) -> None:
    stored = module_of(task_of(base, settings(folder, encoder_layers=1))).finished(1.0)
    tensors, said = stored.tensors(), stored.description()
    for change in ({"layers": 9}, {"layers": -1}, {"pooling": "max"}, {"geometry": {"width": 3}}, {"more": 1}):
        with pytest.raises(PackError):
            Encoder.restore(base, tensors, {**said, **change})
    with pytest.raises(PackError, match="lacks"):
        Encoder.restore(base, {"bias": tensors["bias"]}, said)
    with pytest.raises(PackError, match="lacks"):
        Encoder.restore(base, tensors, {**said, "layers": 2})
    with pytest.raises(FingerprintError, match="other weights"):
        Encoder.restore(base, tensors, {**said, "fingerprint": "sha256:0"})


# --- settings that do not go ----------------------------------------------------------------------------------------


def test_settings_that_do_not_go_are_refused(base: DualEncoder, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a text encoder") as caught:
        task_of(base, method_named("encoder").config())  # type: ignore[arg-type]
    assert "--set encoder=" in caught.value.hint
    with pytest.raises(ConfigError, match="has 2 layers"):
        task_of(base, settings(folder, encoder_layers=3))
    with pytest.raises(ConfigError, match="solved needs target_encoder=frozen"):
        settings(folder, target_encoder="trained")
    with pytest.raises(ConfigError, match="cannot be solved from 0 texts"):
        config = settings(folder)
        TrainingTask(base, None, {"de": GERMAN}).prepare(method_named("encoder").modules(config), config)
    with pytest.raises(CheckpointError, match="no folder or file"):
        task_of(base, settings(tmp_path / "nothing"))


def test_other_hooks_act_in_the_encoders_tower(base: DualEncoder, folder: Path) -> None:
    """Dropout, for one: its masks are of the encoder's width; probe and merged stacks keep the tower too."""
    from glotclip.methods.stack import ModuleStack
    from glotclip.training.dropout import DropoutSeed, seeded, with_dropout

    task = task_of(base, settings(folder))
    stack, plain = task.stacks["de"], base.encode_tokens(task.tokens["de"], task.stacks["de"])
    with seeded(DropoutSeed(0.5, 1), base.device):
        dropped = base.encode_tokens(task.tokens["de"], with_dropout(stack, DropoutSeed(0.5, 1)))
    assert not torch.allclose(dropped, plain)
    assert stack.tower(base.text) is module_of(task).tower(base.text) is not base.text
    assert torch.equal(base.encode_tokens(task.tokens["de"], stack.merged(base.text)), plain)
    assert ModuleStack([]).tower(base.text) is base.text


def test_a_base_that_reads_its_padding_takes_an_encoder_that_does_not(make_base: MakeBase, folder: Path) -> None:
    """SigLIP's texts are filled up to its context; the encoder's are trimmed, when serving and while training."""
    siglip = make_base(causal=False)
    task = task_of(siglip, settings(folder))
    features = siglip.encode_tokens(task.tokens["de"], task.stacks["de"])
    ids, lengths = (torch.from_numpy(each) for each in task.tokens["de"].padded(range(len(GERMAN)), 1))
    module = TaskModule(siglip, task, settings(folder), "fp32")
    torch.testing.assert_close(module._features(ids, lengths, task.stacks["de"]), features)


def test_modules_of_two_towers_do_not_mix(base: DualEncoder, folder: Path) -> None:
    shared = {"isolation": "shared"}
    of_encoder = task_of(base, settings(folder, **shared))
    lexicon = method_named("lexicon")
    config = lexicon.config({**shared, "vocabulary": 0})
    of_lexicon = TrainingTask(base, None, {"de": GERMAN}).prepare(lexicon.modules(config), config)
    with pytest.raises(ConfigError, match="in that of encoder"):
        TrainingTask(base, of_encoder.finish(1.0), {"fr": ["rouge"]}).prepare(lexicon.modules(config), config)
    with pytest.raises(ConfigError, match="in the base's own text tower"):
        task_of(base, settings(folder, **shared), previous=of_lexicon.finish(1.0))


def test_a_shared_pack_goes_on_learning_from_where_it_is(
    base: DualEncoder, folder: Path, tmp_path: Path, stir: Callable[[TrainingTask], None]
) -> None:
    shared = settings(folder, isolation="shared", encoder_layers=1)
    first = task_of(base, shared)
    stir(first)
    state = first.finish(1.0)
    assert state.languages == ("de",)  # English stays the base's own
    second = task_of(base, shared, previous=state)
    assert all(
        torch.equal(a, b) for a, b in zip(module_of(second).parameters(), module_of(first).parameters(), strict=True)
    )
    elsewhere = Path(shutil.copytree(folder, tmp_path / "moved"))
    task_of(base, replace_encoder(shared, elsewhere), previous=state)
    with pytest.raises(ConfigError, match="the settings ask for"):
        task_of(base, settings(folder, isolation="shared", encoder_layers=2), previous=state)


def replace_encoder(config: EncoderConfig, folder: Path) -> EncoderConfig:
    return config.model_copy(update={"encoder": str(folder)})


# --- through the whole of glotclip ----------------------------------------------------------------------------------

QUICK: dict[str, Any] = {"steps": 3, "batch_size": 4, "lr": 0.001, "precision": "fp32", "encoder_layers": 1}


@pytest.fixture(scope="module")
def model(base: DualEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model") / "base"
    save_base(base, place)
    return place


@pytest.fixture
def extend(model: Path, drawn: Path, folder: Path, tmp_path: Path) -> Any:
    def run(langs: str, *, data: Path = drawn, out: str = "out", more: Any = None, **values: Any) -> api.Extended:
        return api.extend(
            model, langs.split(","), data=data, out=tmp_path / out, cache=tmp_path / "cache", device="cpu",
            method="encoder", settings={**QUICK, "encoder": str(folder), **values}, **(more or {}),
        )  # fmt: skip

    return run


@pytest.mark.slow
def test_from_captions_to_packs_that_serve(extend: Any, drawn: Path, folder: Path, base: DualEncoder) -> None:
    made = extend("de,fr")
    model = made.load()
    assert model.languages == ["en", "de", "fr"]
    (place,) = (made.folder / "packs").glob("de-*")
    assert {file.name for file in place.iterdir()} >= {"pack.safetensors", "manifest.json"}
    assert not (place / "tokenizer").exists()  # it is the encoder's
    size = (place / "pack.safetensors").stat().st_size
    assert size < (folder / "model.safetensors").stat().st_size
    assert torch.equal(
        model.encode_text(["a red circle"]), glotclip.load(base_of(made)).encode_text(["a red circle"])
    )
    scores = glotclip.evaluate(model, drawn, ["de"], intervals=0)["languages"]["de"]
    assert scores["text_to_image"] == pytest.approx(made.evaluations["fr"]["de"]["text_to_image"])
    assert len(glotclip.search(model, drawn.parent / "pictures", "Katze", "de", top=2).hits) == 2
    moved = shutil.copytree(folder, folder.parent / "kept")
    shutil.rmtree(folder)
    try:
        with pytest.raises(CheckpointError, match="needs the text encoder"):
            made.load()
        verified = CliRunner().invoke(app, ["pack", "verify", str(made.folder)])
        assert verified.exit_code == 1
        assert verified.output.count("needs the text encoder") == 2  # both packs are named
    finally:
        shutil.move(moved, folder)
    assert torch.equal(made.load().encode_text(["Katze"], "de"), model.encode_text(["Katze"], "de"))


def base_of(made: api.Extended) -> str:
    return PolyglotFolder(made.folder).read().base.source


@pytest.mark.slow
def test_one_pack_for_two_languages_solved_without_a_step(extend: Any) -> None:
    made = extend("de,fr", isolation="shared", steps=0, encoder_layers=0, more={"joint": True})
    (manifest,) = PolyglotFolder(made.folder).manifests().values()
    assert manifest.languages == ("de", "fr")
    assert manifest.parameters == 32 * 16 + 16
    assert not (made.folder / "log.jsonl").exists() or not (made.folder / "log.jsonl").read_text(encoding="utf-8")
    model = made.load()
    assert torch.equal(model.encode_text(["Katze"], "de"), model.encode_text(["Katze"], "fr"))


@pytest.mark.slow
def test_everything_trained_is_a_pack_that_needs_no_encoder(extend: Any, tmp_path: Path) -> None:
    own = tmp_path / "own"
    make_folder(own, "bert")
    made = extend("de", encoder=str(own), encoder_layers=-1, encoder_table=True)
    before = made.load().encode_text(["Katze und Hund"], "de")
    shutil.rmtree(own)
    assert torch.equal(made.load().encode_text(["Katze und Hund"], "de"), before)


@pytest.mark.slow
@pytest.mark.parametrize("learns", ["captions", "english", "both"])
def test_which_texts_are_read(learns: str, extend: Any) -> None:
    seen: list[str] = []

    def started(name: str, task: TrainingTask, steps: int) -> None:
        seen.extend(task.all_texts)

    made = extend("de", learns=learns, more={"callbacks": Callbacks(task_started=started), "benchmark": False})
    german, english = [text for text in seen if "a " not in text], [text for text in seen if "a " in text]
    assert (len(german), len(english)) == {"captions": (9, 0), "english": (0, 9), "both": (9, 9)}[learns]
    # What was never read says nothing of what queries look like.
    assert bool(made.load().packs["de"].profiles) == (learns != "english")


@pytest.mark.slow
def test_a_language_without_any_text_of_its_own(extend: Any, tmp_path: Path) -> None:
    """Trained on English alone, as people do who have nothing else; the language is what the encoder knows."""
    data = tmp_path / "english.tsv"
    data.write_text("lang\ttext\n" + "".join(f"en\ta {word} circle\n" for word in ("red", "blue", "black", "green")))
    made = extend("de,fr", data=data, learns="english", more={"benchmark": False})
    assert made.languages == ("en", "de", "fr")
    assert made.load().encode_text(["Katze"], "fr").shape == (1, 16)


@pytest.mark.slow
def test_a_killed_run_ends_in_the_same_bits(extend: Any) -> None:
    whole = extend("de", out="whole", more={"benchmark": False})
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 2

    with pytest.raises(KeyboardInterrupt):
        extend("de", out="cut", checkpoint_seconds=0, more={"benchmark": False, "callbacks": Callbacks(stop=stop)})
    resumed = extend("de", out="cut", checkpoint_seconds=0, more={"benchmark": False})
    one, other = (each.load().encode_text(["Katze"], "de") for each in (whole, resumed))
    assert torch.equal(one, other)


@pytest.mark.slow
def test_packs_of_it_are_shown_exported_moved_and_refused_by_peft(
    extend: Any, base: DualEncoder, tmp_path: Path
) -> None:
    from glotclip.packs.exchange import to_peft
    from glotclip.packs.manifest import model_card

    made = extend("de", more={"benchmark": False})
    model = made.load()
    assert "encoder" in model_card(model.packs["de"].manifest)
    with pytest.raises(ConfigError, match="LoRA"):
        to_peft(model, "de", tmp_path / "peft")
    saved = model.save(tmp_path / "saved")
    assert torch.equal(glotclip.load(saved).encode_text(["Katze"], "de"), model.encode_text(["Katze"], "de"))
    other = glotclip.load(base_of(made)).base
    with torch.no_grad():
        next(iter(other.state().values())).mul_(2)
    moved = api.rebase(made.folder, other, tmp_path / "moved")
    assert torch.equal(moved.encode_text(["Katze"], "de"), model.encode_text(["Katze"], "de"))


@pytest.mark.slow
@pytest.mark.parametrize("values", [{"encoder": None}, {"encoder": "nothing/of-this-name"}, {"encoder_layers": 3}])
def test_what_cannot_be_is_refused_before_anything_is_written(
    values: dict[str, Any], extend: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises((ConfigError, CheckpointError)):
        extend("de", **values)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_does_not_go_on_with_another_encoder(extend: Any, tmp_path: Path) -> None:
    own = tmp_path / "own"
    make_folder(own, "bert")
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 2

    cut = {"checkpoint_seconds": 0, "encoder": str(own)}
    with pytest.raises(KeyboardInterrupt):
        extend("de", **cut, more={"benchmark": False, "callbacks": Callbacks(stop=stop)})
    make_folder(own, "bert", seed=1)
    with pytest.raises(InterruptedRunError):
        extend("de", **cut, more={"benchmark": False})


@pytest.mark.slow
def test_longer_texts_than_the_encoder_reads(extend: Any) -> None:
    model = extend("de", more={"benchmark": False}).load()
    with pytest.warns(glotclip.errors.TruncationWarning, match="16"):
        cut = model.encode_text(["Katze " * 40], "de")
    whole = model.encode_text(["Katze " * 40], "de", long="mean")
    assert not torch.equal(cut, whole)
    assert (model.context_length("de"), model.context_length("en"), model.context_length(["en", "auto"])) == (
        16,
        24,
        16,
    )
