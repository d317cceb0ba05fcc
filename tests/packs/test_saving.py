"""Saving a loaded model, adding packs, and exporting: what is opened afterwards answers the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip import api
from glotclip.errors import ConfigError, FingerprintError, InterruptedRunError, LanguageError, PackError, StorageError
from glotclip.models.checkpoints import save_base
from glotclip.packs.folder import FolderRecord, PolyglotFolder, RunRecord
from glotclip.packs.pack import LanguagePack, write_pack
from glotclip.packs.polyglot import Polyglot
from glotclip.packs.saving import add_packs, export

if TYPE_CHECKING:
    from tests.conftest import MakeBase, School

    from glotclip.methods.stack import PackState

pytestmark = pytest.mark.slow

TEXTS = ["roter Kreis", "rouge", "a red bar"]


@pytest.fixture(scope="module")
def states(school: School) -> dict[str, PackState]:
    settings: dict[str, Any] = {"steps": 1, "vocabulary": 300, "isolation": "per-language"}
    return {code: school.teach(None, code, **settings).state for code in ("de", "fr")}


@pytest.fixture
def model(school: School, states: dict[str, PackState], tmp_path: Path) -> Polyglot:
    """A model with two packs, saved once on a base that lies beside it."""
    save_base(school.base, tmp_path / "home" / "base")
    for code, state in states.items():
        write_pack(
            tmp_path / "packs" / code, state, name=code, method="lexicon", learnt=(code,), base=school.base,
            settings={}, data={}, scores={},
        )  # fmt: skip
    packs = [LanguagePack.load(tmp_path / "packs" / code, school.base) for code in states]
    made = Polyglot(school.base, packs, source=str(tmp_path / "home" / "base"))
    assert made.save(tmp_path / "home" / "model") == tmp_path / "home" / "model"
    return made


def same(one: Polyglot, other: Polyglot, *codes: str) -> bool:
    return all(torch.equal(one.encode_text(TEXTS, code), other.encode_text(TEXTS, code)) for code in codes)


def test_saved_and_loaded_answers_the_same(model: Polyglot, tmp_path: Path) -> None:
    shutil.move(tmp_path / "home", tmp_path / "moved")
    loaded = api.load(tmp_path / "moved" / "model", device="cpu")
    assert loaded.languages == ["en", "de", "fr"]
    assert same(model, loaded, "en", "de", "fr")
    first = tmp_path / "packs" / "de" / "pack.safetensors"
    assert (tmp_path / "moved" / "model" / "packs" / "de-1" / first.name).read_bytes() == first.read_bytes()


def test_what_was_added_and_removed_in_memory_is_saved(model: Polyglot, tmp_path: Path) -> None:
    home = tmp_path / "home" / "model"
    loaded = api.load(home, device="cpu")
    removed = loaded.remove_pack("de")
    loaded.save(home)
    assert api.load(home, device="cpu").languages == ["en", "fr"]
    assert not (home / "packs" / "de-1").exists()
    (home / "notes.md").write_text("mine")
    loaded.add_pack(removed)  # its files are gone: it is written from memory
    loaded.save(home)
    assert same(model, api.load(home, device="cpu"), "en", "de", "fr")
    assert (home / "notes.md").read_text() == "mine"
    before = PolyglotFolder(home).read()
    loaded.save(home)
    assert PolyglotFolder(home).read().packs.keys() == before.packs.keys()


def test_a_base_made_in_memory_is_saved_along(school: School, states: dict[str, PackState], tmp_path: Path) -> None:
    made = Polyglot(school.base)
    made.save(tmp_path / "one")
    shutil.move(tmp_path / "one", tmp_path / "two")
    assert api.load(tmp_path / "two", device="cpu").base.fingerprint == school.base.fingerprint
    made.save(tmp_path / "two")  # into its own folder
    made.save(tmp_path / "three", with_base=False)
    assert not (tmp_path / "three" / "base").exists()
    assert api.load(tmp_path / "three", base=school.base, device="cpu").languages == ["en"]


def test_what_is_not_saved_over(model: Polyglot, make_base: MakeBase, tmp_path: Path) -> None:
    home = tmp_path / "home" / "model"
    with pytest.raises(ConfigError, match="was made for tiny-0"):
        Polyglot(make_base(1)).save(home)
    with pytest.raises(StorageError, match="did not make"):
        model.save(tmp_path / "home")
    folder = PolyglotFolder(home)
    run = RunRecord(identity="x", plan={}, start={})
    folder.commit(folder.read().model_copy(update={"run": run}))
    for write in (lambda: model.save(home), lambda: add_packs(folder, tmp_path / "packs" / "de")):
        with pytest.raises(InterruptedRunError, match="unfinished run"):
            write()


@pytest.fixture
def bare(school: School, model: Polyglot, tmp_path: Path) -> PolyglotFolder:
    """A model folder without packs."""
    return PolyglotFolder(Polyglot(school.base, source=model.source).save(tmp_path / "home" / "bare"))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".tar.gz", ".tgz", ".zip"])
@pytest.mark.parametrize("with_base", [False, True])
def test_exported_unpacked_and_added(
    model: Polyglot, bare: PolyglotFolder, tmp_path: Path, suffix: str, with_base: bool
) -> None:
    home = PolyglotFolder(tmp_path / "home" / "model")
    path = export(home, tmp_path / f"mine{suffix}", with_base=with_base)
    first = path.read_bytes()
    assert export(home, path, with_base=with_base).read_bytes() == first
    assert str(tmp_path).encode() not in first
    shutil.unpack_archive(path, tmp_path / "far", "zip" if suffix == ".zip" else "gztar")
    if not with_base:
        shutil.copytree(tmp_path / "home" / "base", tmp_path / "far" / "base")
    assert same(model, api.load(tmp_path / "far" / "mine", device="cpu"), "en", "de", "fr")
    assert [manifest.name for manifest in add_packs(bare, path)] == ["de", "fr"]
    assert same(model, api.load(bare.path, device="cpu"), "en", "de", "fr")
    with pytest.raises(ConfigError, match="is an archive"):
        api.load(path)


def test_one_language(model: Polyglot, bare: PolyglotFolder, tmp_path: Path) -> None:
    home = PolyglotFolder(tmp_path / "home" / "model")
    path = export(home, tmp_path / "de.zip", lang="DE")
    assert [manifest.name for manifest in add_packs(bare, path)] == ["de"]
    assert [manifest.name for manifest in add_packs(bare, home.path, lang="fr")] == ["fr"]
    with pytest.raises(LanguageError, match="no pack provides 'hi'"):
        export(home, tmp_path / "hi.zip", lang="hi")
    with pytest.raises(LanguageError, match="has no pack for 'fr'"):
        add_packs(bare, path, lang="fr")
    (tmp_path / "mine.zip").write_text("mine")
    with pytest.raises(StorageError, match="did not make it"):
        export(home, tmp_path / "mine.zip")


def test_what_is_not_added(model: Polyglot, bare: PolyglotFolder, make_base: MakeBase, tmp_path: Path) -> None:
    """Each is told before anything changes."""
    home, pack = PolyglotFolder(tmp_path / "home" / "model"), tmp_path / "packs" / "de"
    before = home.read()
    with pytest.raises(LanguageError, match="already provides de"):
        add_packs(home, pack)
    other = PolyglotFolder(Polyglot(make_base(1)).save(tmp_path / "other"))
    with pytest.raises(FingerprintError, match="belongs to the base"):
        add_packs(other, pack)
    (pack / "pack.safetensors").write_bytes(b"cut")
    with pytest.raises(PackError, match="cut short"):
        add_packs(bare, pack)
    with pytest.raises(PackError, match="cannot be unpacked"):
        add_packs(bare, pack / "manifest.json")
    assert (home.read(), bare.read().packs, other.read().packs) == (before, {}, {})
    assert not list(bare.path.glob("packs/*"))


def test_a_record_that_points_elsewhere(model: Polyglot, bare: PolyglotFolder, tmp_path: Path) -> None:
    evil = PolyglotFolder(tmp_path / "evil")
    evil.commit(FolderRecord(base=bare.read().base, packs={"de": "../packs/de"}))
    with pytest.raises(PackError, match="outside of it"):
        add_packs(bare, evil.path)
