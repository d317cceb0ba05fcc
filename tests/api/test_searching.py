"""``glotclip.search`` answers as the command does, and refuses what cannot be asked."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import glotclip
from glotclip.errors import ConfigError, DataError, LanguageError
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder


@pytest.fixture
def album(drawn: Path, tmp_path: Path) -> Path:
    shutil.copytree(drawn.parent / "pictures", tmp_path / "album")
    return tmp_path / "album"


def test_the_best_images_and_an_account_of_all_that_lies_there(
    base: DualEncoder, album: Path, tmp_path: Path
) -> None:
    model = Polyglot(base)
    (album / "broken.png").write_bytes(b"no picture")
    (album / "film.mp4").write_bytes(b"x")
    (album / "notes.txt").write_bytes(b"x")
    os.mkfifo(album / "pipe.png")
    found = glotclip.search(model, album, "a red circle", top=3, cache=tmp_path / "cache")
    assert (found.lang, found.guessed, found.searched) == ("en", False, 12)
    assert [Path(bad.where).name for bad in found.unreadable] == ["broken.png"]
    assert {Path(each.where).name: each.reason for each in found.unused} == {
        "film.mp4": "video: only images are searched",
        "notes.txt": "other file: .txt",
        "pipe.png": "pipe, socket or device",
    }
    assert found.searched + len(found.unreadable) + len(found.unused) == len(list(album.iterdir()))
    text = model.encode_text("a red circle")
    scores = model.similarity(text, model.encode_image([hit.path for hit in found.hits]))[0]
    np.testing.assert_allclose([hit.score for hit in found.hits], scores.numpy(), atol=1e-5)
    paths = [*sorted(album.glob("red-*.png")), album / "nowhere.png"]
    few = glotclip.search(model, paths, "a red circle", "en", cache=tmp_path / "cache")
    assert (few.searched, len(few.unreadable), few.unused) == (3, 1, ())


def test_what_cannot_be_asked(base: DualEncoder, album: Path, tmp_path: Path) -> None:
    model, cache = Polyglot(base), tmp_path / "cache"
    with pytest.raises(ConfigError, match="empty"):
        glotclip.search(model, album, " ", cache=cache)
    with pytest.raises(ConfigError, match="not UTF-8"):
        glotclip.search(model, album, "caf\udce9", cache=cache)
    with pytest.raises(LanguageError, match="not installed"):
        glotclip.search(model, album, "Kreis", "de", cache=cache)
    with pytest.raises(DataError, match="not a folder"):
        glotclip.search(model, tmp_path / "absent", "a circle", cache=cache)
    (tmp_path / "empty" / "in").mkdir(parents=True)
    (tmp_path / "empty" / "in" / "film.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no image in .*only 1 × video: only images are searched: in/film.mp4"):
        glotclip.search(model, tmp_path / "empty", "a circle", cache=cache)


def test_the_public_names_are_there() -> None:
    importlib.import_module("glotclip.gallery.rank")  # no package of ours may take the name of a public function
    for name in glotclip.__all__:
        assert getattr(glotclip, name).__name__ == name
    assert not Path(glotclip.__file__).with_name("search").exists()
