"""``extend`` from a caption file to a folder: orders, places, refusals, the record; and how settings are merged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import glotclip
from glotclip import api
from glotclip.errors import ConfigError, DataError, FingerprintError, InterruptedRunError, LanguageError
from glotclip.methods.method import method_named
from glotclip.models.checkpoints import load_base, save_base
from glotclip.packs.folder import PolyglotFolder
from glotclip.threads import held_at
from glotclip.training.callbacks import Callbacks

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"steps": 3, "batch_size": 4, "vocabulary": 150, "lr": 0.01, "precision": "fp32"}


@pytest.fixture(scope="module")
def model(base: DualEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "base"
    save_base(base, folder)
    return folder


@pytest.fixture
def extend(model: Path, drawn: Path, tmp_path: Path) -> Any:
    """``api.extend`` with the small data, unless told otherwise."""

    def run(langs: str, *, model: Any = model, out: str = "out", settings: Any = None, **more: Any) -> api.Extended:
        return api.extend(
            model, langs.split(","), data=drawn, out=tmp_path / out, cache=tmp_path / "cache", device="cpu",
            settings={**QUICK, **(settings or {})}, **more,
        )  # fmt: skip

    return run


def weights(folder: Path) -> dict[str, bytes]:
    """The bytes of every file of every pack in use, without the time of making."""
    return {
        name: (folder / place / "pack.safetensors").read_bytes()
        for name, place in PolyglotFolder(folder).read().packs.items()
    }


SHARED = {"isolation": "shared"}


@pytest.mark.slow
def test_one_after_another_with_scores_at_start_and_after_each(extend: Any, drawn: Path) -> None:
    made = extend("de,fr")
    assert made.languages == ("en", "de", "fr")
    assert list(made.evaluations) == ["start", "de", "fr"]
    assert list(made.evaluations["start"]) == ["en"]
    assert list(made.evaluations["fr"]) == ["en", "de", "fr"]
    assert made.matrix.tasks == (("de",), ("fr",))
    assert made.evaluations["start"]["en"] == made.evaluations["fr"]["en"]  # per language: English is as it was
    manifests = PolyglotFolder(made.folder).manifests()
    assert manifests["de"].scores == {"de": made.evaluations["de"]["de"]}
    assert manifests["de"].data["de"]["captions"] == 9
    record = PolyglotFolder(made.folder).read()
    assert record.run is not None
    assert record.run.complete
    assert not (made.folder / ".run").exists()
    result = glotclip.evaluate(made.load(), drawn, ["de"], intervals=0)
    assert result["languages"]["de"]["text_to_image"]["r@1"] == pytest.approx(
        made.evaluations["fr"]["de"]["text_to_image"]["r@1"]
    )


def test_every_step_is_logged(extend: Any) -> None:
    made = extend("de,fr", benchmark=False, settings={"steps": 3})
    lines = [json.loads(line) for line in (made.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["task"], line["step"]) for line in lines] == [(code, n) for code in ("de", "fr") for n in (1, 2, 3)]
    assert all(line["loss"] > 0 and line["lr"] > 0 for line in lines)


def test_the_same_command_twice_does_nothing(extend: Any) -> None:
    made = extend("de", benchmark=False)
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*") if path.is_file() and path.suffix}
    started: list[str] = []
    extend("de", benchmark=False, callbacks=Callbacks(task_started=lambda name, task, steps: started.append(name)))
    assert started == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_jointly(extend: Any) -> None:
    with pytest.raises(ConfigError, match="jointly"):
        extend("de,fr", joint=True)
    made = extend("de,fr", joint=True, settings=SHARED)
    assert list(made.evaluations) == ["start", "de+fr"]
    assert made.languages == ("en", "de", "fr")
    (manifest,) = PolyglotFolder(made.folder).manifests().values()
    assert manifest.learnt == ("de", "fr")


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["per-language", "shared"])
def test_in_place_elsewhere_and_at_once_end_in_the_same_weights(extend: Any, tmp_path: Path, isolation: str) -> None:
    settings = {"isolation": isolation}
    at_once = weights(extend("de,fr", out="at-once", settings=settings, benchmark=False).folder)
    first = extend("de", out="first", settings=settings, benchmark=False).folder
    held = weights(first)
    elsewhere = extend("fr", model=first, out="elsewhere", settings=settings, benchmark=False)
    assert elsewhere.languages == ("en", "de", "fr")
    assert weights(first) == held
    in_place = extend("fr", model=first, out="first", settings=settings, benchmark=False)
    assert weights(in_place.folder) == weights(elsewhere.folder) == at_once
    packs = sorted(path.name for path in (first / "packs").iterdir())
    assert packs == (["de-1", "fr-1"] if isolation == "per-language" else ["shared-2"])


def test_an_unfinished_run_goes_on_and_refuses_another(extend: Any, tmp_path: Path) -> None:
    whole = weights(extend("de,fr", out="whole", benchmark=False).folder)
    steps: list[int] = []
    callbacks = Callbacks(log=lambda line: steps.append(line["step"]), stop=lambda: len(steps) == 5)
    with pytest.raises(KeyboardInterrupt):  # in the second language
        extend("de,fr", benchmark=False, callbacks=callbacks)
    assert weights(tmp_path / "out") == {"de": whole["de"]}
    for langs, settings in (("de,fr", {"lr": 0.5}), ("de,hi", {})):
        with pytest.raises(InterruptedRunError, match="unfinished run"):
            extend(langs, settings=settings, benchmark=False)
    more: list[int] = []
    extend("de,fr", benchmark=False, callbacks=Callbacks(log=lambda line: more.append(line["step"])))
    assert more == [3]
    assert weights(tmp_path / "out") == whole


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [2, 5], ids=["in the first language", "in the second language"])
def test_an_unfinished_run_goes_on_with_the_threads_it_began_with(extend: Any, tmp_path: Path, stop_at: int) -> None:
    """The same command on a machine with other cores goes on, in the same number of threads, to the same bits."""
    seen: list[int] = []

    def callbacks(limit: int | None = None) -> Callbacks:
        return Callbacks(log=lambda line: seen.append(torch.get_num_threads()), stop=lambda: len(seen) == limit)

    with held_at(2):
        whole = weights(extend("de,fr", out="whole", benchmark=False).folder)
        with pytest.raises(KeyboardInterrupt):
            extend("de,fr", benchmark=False, callbacks=callbacks(stop_at))
    with held_at(1):
        made = extend("de,fr", benchmark=False, callbacks=callbacks())
        assert torch.get_num_threads() == 1
        again = extend("de,fr", benchmark=False, callbacks=Callbacks(log=lambda line: pytest.fail("taught again")))
    assert seen == [2] * 6, "no step was taken twice, and each in the threads of the first"
    assert weights(made.folder) == weights(again.folder) == whole


def test_what_is_there_is_not_learnt_again(extend: Any, model: Path) -> None:
    folder = extend("de", benchmark=False).folder
    held = weights(folder)
    for source in (folder, model):  # the folder itself, or its base into the folder
        with pytest.raises(LanguageError, match="'de' is already installed"):
            extend("de", model=source, settings={"lr": 0.02}, benchmark=False)
    with pytest.raises(LanguageError, match="base's own language"):
        extend("en", out="other", benchmark=False)
    assert weights(folder) == held


def test_a_language_of_a_multilingual_base_is_taught_better(extend: Any, model: Path, tmp_path: Path) -> None:
    save_base(load_base(model, languages=["en", "de", "fr"]), tmp_path / "base")
    made = extend("de", model=tmp_path / "base", benchmark=False).load()
    assert made.languages == ["en", "fr", "de"]
    before = glotclip.load(model).encode_text("roter Kreis", "en")
    assert torch.equal(made.encode_text("roter Kreis", "en"), before)
    assert torch.equal(made.encode_text("roter Kreis", "fr"), before)
    assert not torch.allclose(made.encode_text("roter Kreis", "de"), before, atol=1e-3)


def test_folders_that_cannot_be_put_together(extend: Any, make_base: MakeBase, tmp_path: Path) -> None:
    one, two = (
        extend("de", out=name, settings={"seed": seed}, benchmark=False).folder for seed, name in enumerate("ab")
    )
    held = weights(two)
    with pytest.raises(LanguageError, match="both have packs for de"):
        extend("fr", model=one, out="b", benchmark=False)
    save_base(make_base(1), tmp_path / "other")
    with pytest.raises(FingerprintError, match="made for the base tiny-0, not for tiny-1"):
        extend("fr", model=tmp_path / "other", out="b", benchmark=False)
    assert weights(two) == held
    assert api.load(two).languages == ["en", "de"]


def test_another_start_is_another_run(extend: Any) -> None:
    """The same languages and settings from a model with more packs must not pass for done."""
    extend("fr", settings=SHARED, benchmark=False, out="plain")
    german = extend("de", settings=SHARED, benchmark=False, out="german").folder
    with pytest.raises(LanguageError):
        extend("fr", model=german, settings=SHARED, benchmark=False, out="plain")


def test_english_may_be_a_task_of_a_shared_table(extend: Any) -> None:
    made = extend("en,de", settings={**SHARED, "cross_modal": 0}, benchmark=False)
    (manifest,) = PolyglotFolder(made.folder).manifests().values()
    assert manifest.learnt == ("en", "de")
    assert manifest.data["en"]["captions"] == 9  # an English caption is its own English counterpart
    evaluated = extend("en", settings=SHARED, out="evaluated")
    assert list(evaluated.evaluations) == ["start", "en"]


def test_a_language_without_captions(extend: Any) -> None:
    with pytest.raises((LanguageError, DataError), match="sv"):
        extend("sv")


def test_callbacks_are_left_as_they_were(extend: Any) -> None:
    callbacks = Callbacks()
    extend("de", callbacks=callbacks)
    assert callbacks.evaluate is None
    assert not callbacks.stop()


def test_a_base_that_attends_to_padding(extend: Any, make_base: MakeBase, tmp_path: Path) -> None:
    save_base(make_base(2, causal=False), tmp_path / "bidirectional")
    made = extend("de", model=tmp_path / "bidirectional", benchmark=False)
    assert made.load().encode_text(["rot", "roter Kreis"], lang="de").shape == (2, 16)


def resolved(base: DualEncoder, recipe: Path | None, settings: dict[str, Any]) -> dict[str, Any]:
    method, train = api.resolve_settings(method_named("lexicon"), base, recipe, settings)
    return {**method.model_dump(), **train.model_dump()}


def test_later_layers_win(make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base()
    base.recommended = {"lexicon": {"lr": 1.0, "steps": 1, "batch_size": 10, "teir_init": True}}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("method: lexicon\nlr: 2e-3\nsteps: 2\nteir_decay: true\n", encoding="utf-8")
    got = resolved(base, recipe, {"steps": 3, "teir": False})
    assert (got["batch_size"], got["lr"], got["steps"], got["eps"]) == (10, 0.002, 3, 1e-6)
    assert [got[f"teir_{piece}"] for piece in ("init", "gradient", "decay")] == [False] * 3
    mixed = resolved(base, recipe, {"teir": False, "teir_init": True})
    assert [mixed[f"teir_{piece}"] for piece in ("init", "gradient", "decay")] == [True, False, False]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stpes": 5}, "did you mean 'steps'"),
        ({"isolaton": "shared"}, "did you mean 'isolation'"),
        ({"steps": -1}, "steps"),
        ({"isolation": "both"}, "isolation"),
        ({"teir": "perhaps"}, "teir_init"),
        ({"cross_modal": 0, "cross_lingual": 0}, "nothing would be learnt"),
    ],
)
def test_wrong_settings_are_loud(base: DualEncoder, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved(base, None, settings)


def test_a_recipe_of_another_method(base: DualEncoder, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("method: acquirer\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="for method 'acquirer'"):
        resolved(base, tmp_path / "r.yaml", {})


def test_a_dictionary_alone_is_learnt_without_a_step(model: Path, base: DualEncoder, tmp_path: Path) -> None:
    """Nothing of the base is encoded, English stays as it is, and the language's words lie by their English."""
    words = {"rot": "red", "grün": "green", "blau": "blue", "Kreis": "circle", "Quadrat": "square", "Balken": "bar"}
    data = tmp_path / "deu-eng.tsv"
    data.write_text("".join(f"{text}\t{english}\n" for text, english in words.items()) * 30)
    settings = {"own_vocabulary": True, "initial_rows": "solved", "steps": 0, "vocabulary": 150}

    def extended(out: str, **more: Any) -> glotclip.Polyglot:
        made = api.extend(
            model, ["de"], data=data, out=tmp_path / out, cache=tmp_path / "cache", device="cpu", benchmark=False,
            default_lang="de", settings={**settings, **more},
        )  # fmt: skip
        return made.load()

    taught = extended("out")
    assert not list((tmp_path / "cache").rglob("*texts*.bin"))
    english = list(words.values())
    before, after = glotclip.load(model).encode_text(english), taught.encode_text(english)
    assert torch.equal(before, after)

    def found(polyglot: glotclip.Polyglot) -> int:
        similar = polyglot.encode_text(list(words), lang="de") @ before.T
        return int((similar.argmax(dim=1) == torch.arange(len(words))).sum())

    assert found(taught) > found(extended("drawn", initial_rows="drawn"))
    assert found(taught) >= 4  # of six: a random causal tower is no mean of rows
    again = glotclip.load(tmp_path / "out")
    assert torch.equal(again.encode_text(list(words), lang="de"), taught.encode_text(list(words), lang="de"))


def test_a_glossary_travels_with_the_pack(extend: Any, model: Path) -> None:
    settings = {"own_vocabulary": True, "initial_rows": "solved", "steps": 0, "vocabulary": 300}
    plain = extend("de", settings=settings, out="plain").load()
    looked_up = extend("de", settings={**settings, "glossary": 50, "store": "pq"}, out="glossary").load()
    pack = looked_up.packs["de"]
    assert pack.glossary is not None and 0 < len(pack.glossary) <= 50
    assert pack.manifest.glossary_entries == len(pack.glossary)
    (english,) = pack.glossary.readings(["rot Kreis"], "de")
    assert english == ["a red circle"]
    english_feature = glotclip.load(model).encode_text(english)
    before, after = (each.encode_text("rot Kreis", lang="de") for each in (plain, looked_up))
    assert float(after @ english_feature.T) > float(before @ english_feature.T)
    assert torch.equal(looked_up.encode_text(english), english_feature)


def test_solved_rows_go_on_learning(extend: Any) -> None:
    own = {"own_vocabulary": True, "initial_rows": "solved"}
    first = extend("de", settings={**own, "steps": 0})
    before = weights(first.folder)
    lessons = extend("de", out="lessons", settings=own)
    assert weights(lessons.folder) != before
    go_on = extend("de", model=first.folder, out="out", settings=own, continue_learning=True)
    assert weights(go_on.folder)["de"] != before["de"]
    assert go_on.load().packs["de"].state.tokenizer.identity == first.load().packs["de"].state.tokenizer.identity


def test_an_own_vocabulary_belongs_to_one_language(extend: Any) -> None:
    with pytest.raises(ConfigError, match="own_vocabulary=true needs isolation=per-language"):
        extend("de,fr", settings={"own_vocabulary": True, **SHARED})
