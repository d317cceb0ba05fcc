"""Libraries from Python."""

from __future__ import annotations

import shutil
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
