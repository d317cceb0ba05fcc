"""``pack``: list, show, verify, remove."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.packs.language_profile import read_profiles

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

pytestmark = pytest.mark.slow


@pytest.fixture
def model(extended: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(extended, tmp_path / "model"))


def test_list(world: World, here: Here, extended: Path) -> None:
    value = here.json("pack", "list", extended)
    assert [pack["learnt"] for pack in value["packs"]] == [["de"], ["fr"]]
    assert value["base"]["source"] == str(world.base)
    out, _ = here("pack", "list", extended)
    assert "with 2 packs" in out


def test_show_prints_the_card(here: Here, extended: Path) -> None:
    out, _ = here("pack", "show", extended / "packs" / "de-1")
    assert "lexicon" in out
    (pack,) = here.json("pack", "show", extended / "packs" / "de-1")["packs"]
    assert pack["settings"]["isolation"] == "per-language"
    assert pack["data"]["de"]["captions"] == 9


def test_verify_whole_and_alone(world: World, here: Here, extended: Path) -> None:
    value = here.json("pack", "verify", extended)
    assert (value["ok"], value["base_checked"], len(value["packs"])) == (True, True, 2)
    alone = here.json("pack", "verify", extended / "packs" / "de-1")
    assert (alone["ok"], alone["base_checked"]) == (True, False)
    assert here.json("pack", "verify", extended / "packs" / "de-1", "--base", world.base)["base_checked"]


def test_remove_leaves_the_others_bit_for_bit(world: World, here: Here, model: Path) -> None:
    before = world.weights(model)
    assert here.json("pack", "remove", model, "de") == {"removed": ["de"], "left": ["fr"]}
    assert world.weights(model) == {"fr": before["fr"]}
    assert not (model / "packs" / "de-1").exists()
    assert "installed packs: fr" in here.error("pack", "remove", model, "de", code=2)


def test_a_regional_code_is_served_and_said(here: Here, model: Path) -> None:
    _, err = here("pack", "show", model, "--lang", "fr-CA")
    assert err.splitlines() == ["note: there is no 'fr-CA' here; 'fr' is used instead"]
    assert [pack["name"] for pack in here.json("pack", "show", model, "--lang", "fr_CA")["packs"]] == ["fr"]
    assert "installed: de, fr" in here.error("pack", "show", model, "--lang", "nl", code=2)
    assert here.json("pack", "remove", model, "de-AT") == {"removed": ["de"], "left": ["fr"]}
    assert "no pack provides 'gsw'" in here.error("pack", "remove", model, "gsw", code=2)


def test_each_pack_keeps_what_its_texts_look_like(here: Here, extended: Path) -> None:
    for code, word in (("de", "rot"), ("fr", "rou")):
        (pack,) = here.json("pack", "show", extended, "--lang", code)["packs"]
        assert pack["format"] == 3
        profiles = read_profiles(extended / "packs" / f"{code}-1" / "profile.json")
        assert set(profiles) == {code}
        assert profiles[code].counts[word] > 0


def test_a_base_that_moved_is_named(world: World, here: Here, model: Path, tmp_path: Path) -> None:
    """On every command that loads a model."""
    moved = shutil.copytree(world.base, tmp_path / "moved")
    record = json.loads((model / "polyglot.json").read_text(encoding="utf-8"))
    record["base"] |= {"source": "/nowhere/lost", "relative": "../lost"}
    (model / "polyglot.json").write_text(json.dumps(record), encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    runs = "runs: [{name: a, settings: {steps: 1}}]"
    recipe.write_text(f"model: {model}\ndata: {world.captions}\nlanguages: [hi]\n{runs}\n", encoding="utf-8")
    commands: list[list[str | Path]] = [
        ["search", model, "Kreis", "--lang", "de", "--images", world.pictures],
        ["evaluate", model, "--benchmark", world.captions, "--langs", "de", "--intervals", "0"],
        [
            "extend",
            model,
            "--lang",
            "hi",
            "--data",
            world.captions,
            "--out",
            tmp_path / "new",
            "--dry-run",
            *world.quick,
        ],
        ["compare", recipe, "--out", tmp_path / "compared", "--dry-run"],
        ["pack", "verify", model],
        ["pack", "export", model, tmp_path / "a.zip", "--with-base"],
    ]
    for command in commands:
        assert "--base" in here.error(*command)
        here(*command, "--base", moved)


def test_exported_and_added(world: World, here: Here, model: Path, tmp_path: Path) -> None:
    archive = tmp_path / "de.tar.gz"
    value = here.json("pack", "export", model, archive, "--lang", "de")
    assert value["bytes"] == archive.stat().st_size
    assert "already provides de" in here.error("pack", "add", model, archive, code=2)
    here("pack", "remove", model, "de")
    assert [pack["name"] for pack in here.json("pack", "add", model, archive)["added"]] == ["de"]
    assert world.weights(model).keys() == {"fr", "de"}
    assert here.json("pack", "verify", model)["ok"]
    assert "not named as an archive" in here.error("pack", "export", model, tmp_path / "de", code=2)


def test_a_folder_that_is_none(here: Here, tmp_path: Path) -> None:
    assert "polyglot.json" in here.error("pack", "list", tmp_path)
    assert "not a language pack" in here.error("pack", "show", tmp_path)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def pickled(file: Path) -> None:
    """Put a pickle in the weights' place, and let the manifest say that it is the right size."""
    import torch

    torch.save({"all.lexicon.rows": torch.zeros(3)}, file)
    manifest = json.loads((file.parent / "manifest.json").read_text(encoding="utf-8"))
    manifest["bytes"] = file.stat().st_size
    (file.parent / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "cut short"),
        (flip, "does not match its checksum"),
        (pickled, "not a whole safetensors file"),
        (Path.unlink, "is missing"),
    ],
)
def test_a_damaged_pack_is_named_with_its_fault(here: Here, model: Path, damage: object, message: str) -> None:
    assert callable(damage)
    damage(model / "packs" / "de-1" / "pack.safetensors")
    value = here.json("pack", "verify", model, code=1)
    german, french = value["packs"]
    assert (german["ok"], french["ok"]) == (False, True)
    assert message in german["error"]
    assert german["hint"]
    assert message in here.error("search", model, "Kreis", "--lang", "de", "--images", ".")


@pytest.mark.parametrize("file", ["polyglot.json", "packs/de-1/manifest.json"])
def test_an_earlier_format_is_one_plain_sentence(
    world: World, here: Here, model: Path, tmp_path: Path, file: str
) -> None:
    content = json.loads((model / file).read_text(encoding="utf-8"))
    (model / file).write_text(json.dumps({**content, "format": 2}), encoding="utf-8")
    commands: list[list[str | Path]] = [
        ["search", model, "Kreis", "--lang", "de", "--images", world.pictures],
        ["extend", model, "--lang", "hi", "--data", world.captions, "--out", model, "--dry-run", *world.quick],
        ["evaluate", model, "--benchmark", world.captions],
        ["pack", "list", model],
    ]
    for command in commands:
        said = here.error(*command)
        assert f"{file} was made by an earlier glotclip (format 2); its languages have to be learned again" in said
        assert "`glotclip extend" in said


def test_a_pack_without_its_tokenizer(here: Here, model: Path) -> None:
    (model / "packs" / "de-1" / "tokenizer.json").unlink()
    german, _ = here.json("pack", "verify", model, code=1)["packs"]
    assert "tokenizer.json is missing" in german["error"]


def test_a_pack_of_another_base(world: World, here: Here, model: Path, other_base: Path) -> None:
    out, _ = here("pack", "verify", model / "packs" / "de-1", "--base", other_base, code=1)
    assert "belongs to the base tiny-0" in out
    record = json.loads((model / "polyglot.json").read_text(encoding="utf-8"))
    record["base"]["source"] = str(other_base)
    (model / "polyglot.json").write_text(json.dumps(record), encoding="utf-8")
    assert "other weights" in here.error("search", model, "Kreis", "--lang", "de", "--images", world.pictures)
