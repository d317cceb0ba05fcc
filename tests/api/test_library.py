"""Libraries from Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import glotclip
from glotclip.errors import ConfigError, StorageError
from glotclip.models.checkpoints import save_base
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder


def test_index_and_ask(base: DualEncoder, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GLOTCLIP_LIBRARY", str(tmp_path / "library"))
    shutil.copytree(drawn.parent / "pictures", tmp_path / "album")
    with pytest.raises(StorageError, match="no library"):
        glotclip.open_library()
    save_base(base, tmp_path / "base")
    report = glotclip.index(tmp_path / "album", model=tmp_path / "base")
    assert (report.encoded, report.items) == (12, 12)
    assert glotclip.index().unchanged == 12  # the same model, and all folders
    model = Polyglot(base)
    with glotclip.open_library() as library:
        found = library.search("a red circle", limit=12, fold=False)
        direct = glotclip.search(model, tmp_path / "album", "a red circle", top=12, cache=tmp_path / "cache")
        scores = {hit.path.name: hit.score for hit in direct.hits}
        assert {hit.path.name: hit.score for hit in found.hits} == pytest.approx(scores, abs=2e-3)
        assert glotclip.index(library=library, model=model).unchanged == 12  # an open one, a loaded model
        with pytest.raises(ConfigError, match="no vectors of the model"):
            library.search("a", model="emoji-clip")


def test_a_folder_of_languages_is_found_again_with_them(
    taught: Polyglot, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path / "cache"))
    model = taught.save(tmp_path / "taught", with_base=True)
    glotclip.index(drawn.parent / "pictures", tmp_path / "library", model=model)
    with glotclip.open_library(tmp_path / "library") as library:
        assert library.models[0].source == str(model.resolve())
        found = library.search("roter Kreis", lang="de", min_probability=0)
        assert found.lang == "de" and found.hits


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import glotclip
pictures, library, model = sys.argv[1:]
assert glotclip.index(pictures, library, model=model).encoded == 12
assert glotclip.index((), library).unchanged == 12
with glotclip.open_library(library) as opened:
    from fastapi.testclient import TestClient
    from glotclip.server.app import create_app, use_encoders
    from glotclip.server.settings import ServerSettings
    use_encoders(opened)
    asked = {"q": "roter Kreis", "lang": "de", "min_probability": 0, "fold": False}
    client = TestClient(create_app(opened, ServerSettings()), base_url="http://localhost")
    for hit in client.get("/api/search", params=asked).json()["hits"]:
        print(hit["path"], hit["score"])
"""


@pytest.mark.slow
def test_without_torch(exported: Path, taught: Polyglot, drawn: Path, tmp_path: Path) -> None:
    """An exported model indexes, searches and is served where torch cannot be imported."""
    command = [
        sys.executable,
        "-c",
        WITHOUT_TORCH,
        str(drawn.parent / "pictures"),
        str(tmp_path / "a"),
        str(exported),
    ]
    env = {**os.environ, "GLOTCLIP_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    scores = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    model = taught.save(tmp_path / "taught", with_base=True)
    glotclip.index(drawn.parent / "pictures", tmp_path / "b", model=model)
    with glotclip.open_library(tmp_path / "b") as library:
        found = library.search("roter Kreis", lang="de", min_probability=0, fold=False)
    assert {path: float(score) for path, score in scores.items()} == pytest.approx(
        {str(hit.path): hit.score for hit in found.hits}, abs=2e-3
    )


def test_an_exported_model_has_its_own_precision(exported: Path) -> None:
    with pytest.raises(ConfigError, match="precision of its own"):
        glotclip.api.encoder_of(exported, precision="bf16")
