"""Models that are whole, and models that are not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.doctor import models as checks
from glotclip.doctor.check import Case, Finding
from glotclip.doctor.models import built_in, models

if TYPE_CHECKING:
    from glotclip.packs.polyglot import Polyglot


def only(folder: Path) -> Finding:
    (finding,) = models(Case((folder,)))
    return finding


def test_the_built_in_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path))
    found = {each.what: each for each in built_in(Case())}
    assert set(found) == {"emoji-clip", "photo-clip", "photo-clip-lite2", "photo-e5"}
    made = tmp_path / "bases" / "photo-clip-0123456789ab"
    made.mkdir(parents=True)
    (made / "glotclip.json").write_text("{}")
    (made / "model.safetensors").write_bytes(b"cut short")
    broken = {each.what: each for each in built_in(Case())}["photo-clip"]
    assert broken.state == "broken" and str(made) in broken.mend


def test_a_folder_of_packs(taught: Polyglot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taught.save(tmp_path / "model", with_base=True)
    assert only(tmp_path / "model").state == "fine" and "4 packs" in only(tmp_path / "model").said
    monkeypatch.chdir(tmp_path)
    assert [each.what for each in models(Case())] == ["model"]  # found by itself
    weights = next((tmp_path / "model" / "packs").glob("de*/pack.safetensors"))
    assert only(weights.parent).said.startswith("a pack for tiny-0, whole")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert only(tmp_path / "model").state == only(weights.parent).state == "broken"
    (tmp_path / "model" / "polyglot.json").write_text("[")
    assert only(tmp_path / "model").state == "broken"


def test_packs_without_torch(taught: Polyglot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taught.save(tmp_path / "model", with_base=True)
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    assert only(tmp_path / "model").state == "broken" and "glotclip[torch]" in only(tmp_path / "model").mend


def test_what_is_no_model(tmp_path: Path) -> None:
    assert only(tmp_path).state == "broken" and "is no folder" in only(tmp_path).said
    assert list(models(Case())) == [] or all(each.what for each in models(Case()))


@pytest.mark.slow
def test_exports(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(exported).state == "fine" and "en, de, ar" in only(exported).said
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    graph = copy / "text.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    assert "not the file that was exported" in only(copy).said
    shutil.copy(exported / "text.onnx", graph)
    (copy / "rows-1.ids.npy").unlink()
    assert "lacks its token ids" in only(copy).said
    content = json.loads((copy / "export.json").read_text())
    (copy / "export.json").write_text(json.dumps({**content, "format": 99}))
    assert "format 99" in only(copy).said
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    assert only(exported).mend == "pip install 'glotclip[onnx]'"
