"""A polyglot finds its base again: moved together, moved alone, beside or inside the folder, or named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip import api
from glotclip.errors import CheckpointError, ConfigError, FingerprintError
from glotclip.models.checkpoints import save_base
from glotclip.packs.base_source import BaseSource, absolute
from glotclip.packs.folder import RECORD, FolderRecord, PolyglotFolder

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.models.dual_encoder import DualEncoder


@pytest.fixture
def home(base: DualEncoder, tmp_path: Path) -> Path:
    """A folder with a base and a polyglot without packs on it."""
    save_base(base, tmp_path / "home" / "base")
    source = BaseSource.of(base, str(tmp_path / "home" / "base"), tmp_path / "home" / "model")
    assert source.relative == "../base"
    PolyglotFolder(tmp_path / "home" / "model").commit(FolderRecord(base=source))
    return tmp_path / "home"


def test_moved_together(home: Path, base: DualEncoder) -> None:
    there = home.rename(home.with_name("there"))
    found = api.load(there / "model", device="cpu")
    assert found.base.fingerprint == base.fingerprint
    assert found.source == str(there / "base")


def test_moved_alone(home: Path) -> None:
    (home / "model").rename(home.parent / "model")
    assert api.load(home.parent / "model", device="cpu").source == str(home / "base")


@pytest.mark.parametrize("place", ["base", "model/base"])
def test_beside_or_inside(home: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "new").mkdir()
    shutil.move(home / "model", tmp_path / "new" / "model")
    shutil.move(home / "base", tmp_path / "new" / place)
    assert api.load(tmp_path / "new" / "model", device="cpu").source == str(tmp_path / "new" / place)


def test_another_base_in_its_place_is_passed_over(home: Path, make_base: MakeBase, tmp_path: Path) -> None:
    """What lies at the relative path has other weights; the recorded place has the right ones."""
    (tmp_path / "new").mkdir()
    shutil.move(home / "model", tmp_path / "new" / "model")
    save_base(make_base(1), tmp_path / "new" / "base")
    assert api.load(tmp_path / "new" / "model", device="cpu").source == str(home / "base")
    shutil.rmtree(home)
    with pytest.raises(FingerprintError, match="other weights"):
        api.load(tmp_path / "new" / "model")


def test_named(home: Path, base: DualEncoder, make_base: MakeBase, tmp_path: Path) -> None:
    (home / "base").rename(tmp_path / "elsewhere")
    model = home / "model"
    with pytest.raises(CheckpointError, match="could not be loaded") as caught:
        api.load(model)
    assert "--base" in caught.value.hint
    other = api.load(tmp_path / "elsewhere", device="cpu")
    for named in (tmp_path / "elsewhere", str(tmp_path / "elsewhere"), other, base):
        assert api.load(model, base=named, device="cpu").base.fingerprint == base.fingerprint
    with pytest.raises(FingerprintError):
        api.load(model, base=make_base(1))
    with pytest.raises(ConfigError, match="no folder made by"):
        api.load(tmp_path / "elsewhere", base=base)


def test_records_without_the_relative_path_are_read(home: Path) -> None:
    path = home / "model" / RECORD
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["base"]["relative"]
    path.write_text(json.dumps(record), encoding="utf-8")
    there = home.rename(home.with_name("there"))
    assert api.load(there / "model", device="cpu").source == str(there / "base")


def test_two_sources_and_names(home: Path, base: DualEncoder, tmp_path: Path) -> None:
    two = f"{home / 'base'}+openai/clip-vit-large-patch14"
    source = BaseSource.of(base, two, home / "model")
    assert source.relative == "../base+openai/clip-vit-large-patch14"
    assert next(source.candidates(home / "model")) == two
    there = home.rename(tmp_path / "there")
    assert next(source.candidates(there / "model")) == f"{there / 'base'}+openai/clip-vit-large-patch14"
    assert BaseSource.of(base, "emoji-clip", home).relative is None
    assert absolute("emoji-clip") == "emoji-clip"
