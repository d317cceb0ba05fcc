"""Whatever people may hand in by mistake: a plain error, a non-zero exit, nothing half-written, nothing lost."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

pytestmark = pytest.mark.slow


def captions(world: World, name: str, *rows: str, header: str = "image,lang,text,english,split") -> Path:
    """Write a caption file beside the pictures."""
    file = world.root / name
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def good(number: int) -> list[str]:
    """Rows that can be used."""
    colours = ("red", "green", "blue", "black")
    return [f"pictures/{colours[n % 4]}-bar.png,de,Balken {n},a bar {n},train" for n in range(number)]


def test_a_missing_column(world: World, here: Here, tmp_path: Path) -> None:
    file = captions(world, "columns.csv", "pictures/red-bar.png,de", header="image,lang")
    assert "text" in here.error(*extend(world, file, tmp_path))
    assert not (tmp_path / "out").exists()


def test_an_unknown_language_code(world: World, here: Here, tmp_path: Path) -> None:
    complaint = here.error(*world.extend(tmp_path / "out", "german"), code=2)
    assert "unknown language code 'german'" in complaint
    assert not (tmp_path / "out").exists()


def test_a_language_the_file_lacks(world: World, here: Here, tmp_path: Path) -> None:
    assert "it has: en, de, fr, hi" in here.error(*world.extend(tmp_path / "out", "sw"), code=2)


def test_empty_texts_stop_a_run_if_they_are_many(world: World, here: Here, tmp_path: Path) -> None:
    file = captions(world, "empty.csv", *good(3), "pictures/red-bar.png,de,,a bar,train")
    complaint = here.error(*extend(world, file, tmp_path))
    assert "1 of 4 rows" in complaint
    assert "empty.csv:5: the text is empty" in complaint


def test_one_empty_text_among_many_is_skipped_and_listed(world: World, here: Here, tmp_path: Path) -> None:
    file = captions(world, "one.csv", *good(30), "pictures/red-bar.png,de,,a bar,train")
    out, _ = here(*extend(world, file, tmp_path), *world.quick, "--set", "steps=2")
    assert "1 rows or images cannot be used" in out
    assert "one.csv:32: the text is empty" in (tmp_path / "out" / "skipped.txt").read_text(encoding="utf-8")


def test_pictures_that_are_none_or_too_large(world: World, here: Here, tmp_path: Path) -> None:
    (world.pictures / "text.png").write_text("this is text")
    huge = world.pictures / "huge.png"
    huge.write_bytes(png_header(20_000, 10_000))
    rows = [f"pictures/{name}.png,de,Balken,a bar,train" for name in ("text", "huge")]
    try:
        file = captions(world, "pictures.csv", *good(40), *rows)
        out, _ = here(*extend(world, file, tmp_path), *world.quick, "--set", "steps=2")
        assert "2 rows or images cannot be used" in out
        listed = (tmp_path / "out" / "skipped.txt").read_text(encoding="utf-8")
        assert "text.png: is not an image" in listed
        assert "more than the limit of 150 megapixels" in listed
    finally:
        for name in ("text.png", "huge.png"):
            (world.pictures / name).unlink()


def test_a_language_twice_and_one_that_is_there(world: World, here: Here, extended: Path) -> None:
    before = world.tree(extended)
    assert "given twice" in here.error(*world.extend(extended, "hi,hi"), code=2)
    again: list[str | Path] = [
        "extend",
        extended,
        "--lang",
        "de",
        "--data",
        world.captions,
        "--out",
        extended,
        *world.quick,
    ]
    assert "already installed" in here.error(*again, code=2)
    assert world.tree(extended) == before


@pytest.mark.parametrize("content", [b"\x80\x04K\x01.", b"", b"\xff" * 100])
def test_a_base_whose_weights_are_no_safetensors(world: World, here: Here, tmp_path: Path, content: bytes) -> None:
    base = shutil.copytree(world.base, tmp_path / "base")
    (base / "model.safetensors").write_bytes(content)
    assert "safetensors" in here.error("search", base, "x", "--images", world.pictures)


def test_a_model_that_is_not_there(world: World, here: Here) -> None:
    here.error("search", "./nowhere", "x", "--images", world.pictures)


def test_a_damaged_record(world: World, here: Here, extended: Path, tmp_path: Path) -> None:
    model = shutil.copytree(extended, tmp_path / "model")
    (model / "polyglot.json").write_text("{", encoding="utf-8")
    assert "polyglot.json" in here.error("pack", "list", model)


def test_a_folder_that_may_not_be_written(world: World, here: Here, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert str(tmp_path / "file") in here.error(*world.extend(tmp_path / "file" / "out", "de"))
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB, where the test may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if os.name != "posix" or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_what_was_there(world: World, small_disk: Path) -> None:
    out = small_disk / "out"
    world.run(*world.extend(out, "de"), "--set", "steps=2", "--no-report")
    before = world.weights(out)
    fill = small_disk / "fill"
    with fill.open("wb") as stream:
        stream.write(b"0" * (shutil.disk_usage(small_disk).free - 20_000))
    more = ["--set", "steps=2", "--no-report"]
    command: list[str | Path] = [
        "extend",
        out,
        "--lang",
        "fr",
        "--data",
        world.captions,
        "--out",
        out,
        *world.quick,
        *more,
    ]
    _, err = world.run(*command, code=1)
    assert "disk is full" in err
    assert "Traceback" not in err
    assert world.weights(out) == before
    assert not list(out.rglob("*.part"))
    fill.unlink()
    world.run(*command)
    assert set(world.weights(out)) == {"de", "fr"}


def test_a_disk_that_refuses_is_told(
    world: World, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same everywhere: the system's own call fails as it does on a full disk."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    here("pack", "list", tmp_path, code=1)
    monkeypatch.setattr(os, "fsync", full)
    complaint = here.error(*world.extend(tmp_path / "out", "de"))
    assert "the disk is full while writing" in complaint
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name != ".lock"] == []


def extend(world: World, file: Path, folder: Path) -> list[str | Path]:
    return ["extend", world.base, "--lang", "de", "--data", file, "--out", folder / "out"]


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size, and holds no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
