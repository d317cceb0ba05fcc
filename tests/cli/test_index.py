"""`glotclip index` and `glotclip search` on a library."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import glotclip

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World


@pytest.fixture
def album(world: World, tmp_path: Path) -> Path:
    shutil.copytree(world.pictures, tmp_path / "album")
    (tmp_path / "album" / "notes.pdf").write_bytes(b"x")
    (tmp_path / "album" / "broken.png").write_bytes(b"x")
    return tmp_path / "album"


def test_index_and_search(world: World, here: Here, album: Path, tmp_path: Path) -> None:
    place = tmp_path / "library"
    report = here.json("index", album, "--library", place, "--model", world.base)
    assert {key: report[key] for key in ("encoded", "unchanged", "renamed", "copied", "removed", "items")} == {
        "encoded": 12, "unchanged": 0, "renamed": 0, "copied": 0, "removed": 0, "items": 12,
    }  # fmt: skip
    assert {Path(each["path"]).name for each in report["skipped"]} == {"notes.pdf", "broken.png"}
    (album / "sub").mkdir()
    (album / "red-bar.png").rename(album / "sub" / "renamed.png")
    out, _ = here("index", "--library", place)
    assert "0 encoded, 11 unchanged, 1 renamed, 0 copied, 0 removed, 2 skipped" in out
    assert "1 × not an image: broken.png" in out.replace("is not an image", "not an image")
    asked = ("search", "a red circle", "--library", place)
    found = here.json(*asked, "--top", "3", "--min-probability", "0", "--no-fold")
    assert (found["searched"], len(found["hits"]), found["lang"], found["more"]) == (12, 3, "en", True)
    same = glotclip.open_library(place).search("a red circle", limit=3, fold=False)
    assert [hit["path"] for hit in found["hits"]] == [str(hit.path) for hit in same.hits]
    out, _ = here(*asked, "--top", "2", "--offset", "1", "--folder", album / "sub")
    assert "among 1 pictures" in out or "no more" in out or "hits" in out
    picture = here.json("search", "--image", album / "red-circle.png", "--library", place, "--top", "1")
    assert picture["hits"][0]["path"] == str(album / "red-circle.png")
    both = here.json("search", "circle -red", "--image", album / "red-circle.png", "--library", place)
    assert both["hits"]
    out, _ = here(*asked, "--kind", "video")
    assert "no picture or video passes the filters" in out


def test_the_library_is_where_the_variable_says(
    world: World, here: Here, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOTCLIP_LIBRARY", str(tmp_path / "mine"))
    assert here.json("index", album, "--model", world.base, "--exclude", "red-*")["encoded"] == 9
    assert here.json("search", "a circle")["library"] == str(tmp_path / "mine")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["search", "a dog", "--library", "nowhere"], 1, "there is no library"),
        (["index", "nowhere"], 1, "not a folder"),
        (["index"], 1, "has no folder yet"),
        (["index", "pictures", "--precision", "half"], 2, "unknown precision 'half'"),
        (["search", "a dog", "--near", "here", "--library", "LIB"], 2, "no place"),
        (["search", "a dog", "--after", "soon", "--library", "LIB"], 2, "no date"),
        (["search", "--library", "LIB"], 2, "empty"),
        (["search", "x" * 20_000, "--library", "LIB"], 2, "10,000"),
        (["search", "a dog", "--images", "pictures", "--kind", "image"], 2, "no filters"),
        (["search", "a dog", "--library", "pictures"], 1, "there is no library"),
        (["index", "pictures", "--library", "pictures"], 1, "did not make"),
    ],
)
def test_what_cannot_be_done(
    world: World, here: Here, album: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    place = tmp_path / "library"
    if "LIB" in arguments:
        here("index", album, "--library", place, "--model", world.base)
    given = [str(place) if word == "LIB" else word for word in arguments]
    if given[0] == "index":
        given += ["--model", str(world.base)]
        given += [] if "--library" in given else ["--library", str(place)]
    assert message in here.error(*given, code=code)


def test_a_damaged_catalogue_says_so(world: World, here: Here, album: Path, tmp_path: Path) -> None:
    place = tmp_path / "library"
    here("index", album, "--library", place, "--model", world.base)
    catalogue = place / "catalogue.sqlite"
    for name in (f"{catalogue}-wal", f"{catalogue}-shm"):
        Path(name).unlink(missing_ok=True)
    content = catalogue.read_bytes()
    catalogue.write_bytes(content[: len(content) // 2])
    assert "is damaged" in here.error("search", "a dog", "--library", place)
    catalogue.write_bytes(b"no database at all, but long enough for a header" * 20)
    assert "is damaged" in here.error("index", album, "--library", place, "--model", world.base)


def test_another_model_is_named(world: World, here: Here, album: Path, other_base: Path, tmp_path: Path) -> None:
    place, base = tmp_path / "library", tmp_path / "base"
    shutil.copytree(world.base, base)
    here("index", album, "--library", place, "--model", base)
    complaint = here.error("search", other_base, "a dog", "--library", place, code=2)
    assert "no vectors of the model" in complaint
    assert str(base) in complaint
    shutil.rmtree(base)
    shutil.copytree(other_base, base)
    assert "its weights have changed" in here.error("search", "a dog", "--library", place, code=2)


@pytest.mark.slow
def test_changes_are_followed_until_ctrl_c(world: World, album: Path, tmp_path: Path) -> None:
    place = tmp_path / "library"
    process = world.start("index", album, "--library", place, "--model", world.base, "--watch")
    assert process.stdout
    deadline = time.monotonic() + 90
    lines: list[str] = []

    def until(text: str) -> None:
        while time.monotonic() < deadline and not any(text in line for line in lines):
            lines.append(process.stdout.readline() if process.stdout else "")
        assert any(text in line for line in lines), lines

    until("12 pictures and videos")
    time.sleep(1)
    (album / "more").mkdir()
    shutil.copy(album / "red-bar.png", tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes() + b"\0")
    os.replace(tmp_path / "x.png", album / "more" / "x.png")  # noqa: PTH105
    until("13 pictures and videos")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing is lost" in err
    assert json.loads(world.run("index", "--library", place, "--json")[0])["unchanged"] == 13
