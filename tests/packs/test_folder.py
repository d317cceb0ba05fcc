"""The polyglot folder: one commit point, leftovers, locks, readers during an update, and removing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glotclip.errors import FingerprintError, LanguageError, PackError, StorageError
from glotclip.packs.base_source import BaseSource
from glotclip.packs.folder import FolderRecord, PolyglotFolder
from glotclip.packs.pack import LanguagePack, write_pack
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from tests.conftest import MakeBase, School

    from glotclip.methods.stack import PackState
    from glotclip.models.dual_encoder import DualEncoder


@pytest.fixture(scope="module")
def states(school: School) -> dict[str, PackState]:
    settings: dict[str, Any] = {"steps": 1, "vocabulary": 0}
    own = {code: school.teach(None, code, isolation="per-language", **settings).state for code in ("de", "fr")}
    first = school.teach(None, "de", isolation="shared", **settings).state
    both = school.teach(first, "fr", isolation="shared", **settings).state
    return {**own, "one": first, "both": both}


def put(school: School, folder: Path, packs: dict[str, tuple[str, PackState]]) -> PolyglotFolder:
    """Write packs (name → relative folder, state) and commit them."""
    made = PolyglotFolder(folder)
    for name, (place, state) in packs.items():
        learnt = [code for code in state.languages if code != "en"]
        write_pack(
            folder / place, state, name=name, method="lexicon", learnt=learnt, base=school.base, settings={},
            data={}, scores={},
        )  # fmt: skip
    source = BaseSource(name="tiny-0", fingerprint=school.base.fingerprint, source="nowhere")
    made.commit(FolderRecord(base=source, packs={name: place for name, (place, _) in packs.items()}))
    return made


@pytest.fixture
def folder(school: School, states: dict[str, PackState], tmp_path: Path) -> PolyglotFolder:
    return put(school, tmp_path, {code: (f"packs/{code}-1", states[code]) for code in ("de", "fr")})


def content(folder: Path) -> dict[str, bytes]:
    """Every file but glotclip's own records, by name."""
    files = (p for p in folder.rglob("*") if p.is_file() and ".glotclip" not in p.parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_only_the_record_says_what_is_there(
    school: School, states: dict[str, PackState], folder: PolyglotFolder
) -> None:
    half = folder.path / "packs" / "hi-1"
    half.mkdir()
    (half / "pack.safetensors").write_bytes(b"half")
    assert Polyglot.open(folder, school.base).languages == ["en", "de", "fr"]
    assert list(folder.manifests()) == ["de", "fr"]


def test_sweeping_takes_leftovers_and_nothing_else(folder: PolyglotFolder) -> None:
    packs = folder.path / "packs"
    before = content(folder.path)
    for name in ("hi-1", "de-7", "zh-Hant-3"):
        folder.workplace.claim_folder(f"packs/{name}")
    for name in ("hi-1", "de-7", ".de-7.x8s.part", "zh-Hant-3", "fr-9"):  # the last was put there by somebody else
        (packs / name).mkdir()
        (packs / name / "pack.safetensors").write_bytes(b"")
    (packs / "my notes").mkdir()
    (packs / "my notes" / "keep.txt").write_text("mine")
    (packs / ".DS_Store").write_text("a file manager's")
    folder.sweep()
    assert content(folder.path) == {
        **before, "packs/my notes/keep.txt": b"mine", "packs/.DS_Store": b"a file manager's",
        "packs/fr-9/pack.safetensors": b"",
    }  # fmt: skip
    assert sorted(each.name for each in packs.iterdir()) == [".DS_Store", "de-1", "fr-1", "fr-9", "my notes"]


def test_a_second_writer_is_told_to_wait(folder: PolyglotFolder) -> None:
    with folder.locked(), pytest.raises(StorageError, match="another process is writing"):
        PolyglotFolder(folder.path).remove("de")
    folder.remove("de")


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StorageError, match="cannot write"), PolyglotFolder(tmp_path / "out").locked():
        pytest.fail("entered")


def test_a_reader_meets_an_update(
    school: School, states: dict[str, PackState], folder: PolyglotFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the record and opening the packs, two updates replace the French pack and sweep the old."""
    updates = iter(("packs/fr-2", "packs/fr-3"))
    load = LanguagePack.load

    def update_then_load(place: Path, base: DualEncoder) -> LanguagePack:
        if place.name.startswith("fr") and (new := next(updates, None)):
            record = folder.read()
            shutil.copytree(folder.path / record.packs["fr"], folder.path / new)
            folder.commit(record.model_copy(update={"packs": {**record.packs, "fr": new}}))
            folder.sweep()
        return load(place, base)

    monkeypatch.setattr(LanguagePack, "load", update_then_load)
    polyglot = Polyglot.open(folder, school.base)
    assert str(polyglot.packs["fr"].folder).endswith("fr-3")


def test_removing_restores_the_state_before(
    school: School, states: dict[str, PackState], folder: PolyglotFolder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = {name: data for name, data in content(folder.path).items() if "fr-1" in name}
    both = Polyglot.open(folder, school.base)
    features = {code: both.encode_text(["rouge", "a red bar"], lang=code) for code in ("en", "fr")}
    never = Polyglot.open(
        put(school, tmp_path_factory.mktemp("never"), {"fr": ("packs/fr-1", states["fr"])}), school.base
    )
    assert folder.remove("DE").learnt == ("de",)
    after = content(folder.path)
    record = json.loads(after.pop("polyglot.json"))
    assert record["packs"] == {"fr": "packs/fr-1"}
    assert after == before
    polyglot = Polyglot.open(folder, school.base)
    assert polyglot.languages == ["en", "fr"]
    for code, held in features.items():  # as with it, and as if it had never been there
        assert polyglot.encode_text(["rouge", "a red bar"], lang=code).equal(held)
        assert never.encode_text(["rouge", "a red bar"], lang=code).equal(held)
    with pytest.raises(LanguageError, match="no pack provides 'de'"):
        folder.remove("de")


@pytest.mark.parametrize(
    ("lang", "why"),
    [
        ("de", "fr were learnt after it and on top of it"),
        ("fr", "it was learnt last, and the state of de before it is not kept"),
        ("en", "the base's own 'en' goes through weights that de, fr have shaped"),
    ],
)
def test_a_shared_pack_cannot_be_taken_apart(
    school: School, states: dict[str, PackState], tmp_path: Path, lang: str, why: str
) -> None:
    folder = put(school, tmp_path, {"shared": ("packs/shared-2", states["both"])})
    before = content(tmp_path)
    with pytest.raises(LanguageError, match="cannot be taken out of the pack 'shared'") as caught:
        folder.remove(lang)
    assert why in caught.value.message
    assert f"pack remove {tmp_path} shared`" in caught.value.hint
    assert content(tmp_path) == before
    folder.remove("shared")
    assert Polyglot.open(folder, school.base).languages == ["en"]


def test_the_bases_language_does_not_take_the_only_other_with_it(
    school: School, states: dict[str, PackState], tmp_path: Path
) -> None:
    folder = put(school, tmp_path, {"shared": ("packs/shared-1", states["one"])})
    with pytest.raises(LanguageError, match="cannot be taken out"):
        folder.remove("en")
    folder.remove("de")
    assert folder.read().packs == {}


def test_another_base_and_damaged_records(make_base: MakeBase, folder: PolyglotFolder) -> None:
    with pytest.raises(FingerprintError, match="made for tiny-0"):
        Polyglot.open(folder, make_base(1))
    path = folder.path / "polyglot.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**record, "format": 4}), encoding="utf-8")
    with pytest.raises(PackError, match="format 4"):
        folder.read()
    path.write_text(json.dumps({**record, "format": 1}), encoding="utf-8")
    with pytest.raises(PackError, match=r"made by an earlier glotclip \(format 1\)") as caught:
        Polyglot.open(folder, make_base(0))
    assert "glotclip extend" in caught.value.hint
    path.write_text(json.dumps({**record, "base": 3}), encoding="utf-8")
    with pytest.raises(PackError, match="damaged"):
        folder.read()
