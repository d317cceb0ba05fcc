"""``glotclip library``: as a user types it."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World


@pytest.fixture
def place(world: World, here: Here, tmp_path: Path) -> Path:
    shutil.copytree(world.pictures, tmp_path / "album")
    here("index", tmp_path / "album", "--library", tmp_path / "library", "--model", world.base)
    return tmp_path / "library"


def test_list_hide_and_forget(here: Here, place: Path) -> None:
    out, _ = here("library", "hide", "1", "2", "--library", place)
    assert "2 hidden" in out
    out, _ = here("library", "hide", "2", "99", "--library", place)
    assert "0 hidden" in out and "2 of them were so before, or are not in the library" in out
    assert "1 shown again" in here("library", "unhide", "1", "--library", place)[0]
    assert "1 forgotten" in here("library", "forget", "3", "--library", place)[0]
    found = here.json("library", "list", "--library", place)
    assert (found["items"], found["hidden"], found["models"][0]["vectors"]) == (10, 1, 11)
    assert found["models"][0]["store"].startswith("file:vectors")
    out, _ = here("library", "list", "--library", place)
    assert "10 pictures and videos" in out and "1 hidden" in out and "11 vectors" in out


def test_a_model_as_an_option(here: Here, place: Path) -> None:
    model = here.json("library", "list", "--library", place)["models"][0]["name"]
    asked = ("--library", place, "--min-probability", "0")
    expected = here.json("search", "a red circle", *asked)
    assert here.json("search", "a red circle", "--model", model, *asked) == expected
    assert here.json("search", model, "a red circle", *asked) == expected


def test_move(here: Here, place: Path, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    asked = ("search", "a red circle", "--library", place, "--min-probability", "0")
    before = here.json(*asked)
    (moved,) = here.json("library", "move", f"milvus:{tmp_path / 'v.db'}", "--library", place).values()
    assert moved["vectors"] == 12 and (tmp_path / "v.db").exists()
    assert here.json(*asked) == before
    assert "12 vectors are in file:" in here("library", "move", "file:", "--library", place)[0]
    assert "they are there already" in here("library", "move", "file:", "--library", place)[0]
    assert here.json(*asked) == before
    assert "it begins with file:, postgresql:, milvus:" in here.error(
        "library", "move", "redis://x", "--library", place, code=2
    )


def test_shards_and_vectors_from_elsewhere(here: Here, place: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    asked = ("search", "a red circle", "--min-probability", "0", "--library")
    assert here.json("library", "export", str(tmp_path / "out"), "--library", place)["vectors"] == 12
    model = here.json("library", "list", "--library", place)["models"][0]["source"]
    other = str(tmp_path / "other")
    taken = here.json("library", "import", str(tmp_path / "out"), "--model", model, "--library", other)
    assert taken["encoded"] + len(taken["skipped"]) == 12 and taken["encoded"] >= 11
    best = [here.json(*asked, each)["hits"][0]["path"] for each in (place, other)]
    assert best[0] == best[1]
    assert "is there already" in here.error("library", "export", str(tmp_path / "out"), "--library", place)
    assert "there is no file" in here.error("index", str(tmp_path / "{0..3}.tar"), "--library", other)
    with tarfile.open(tmp_path / "0.tar", "w") as shard:
        shard.add(best[0], "again.png")
    report = here.json("index", str(tmp_path / "0.tar"), "--library", other)
    assert (report["encoded"], report["copied"]) == (0, 1)
