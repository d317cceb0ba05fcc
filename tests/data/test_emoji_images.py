import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from glotclip.data import emoji_images
from glotclip.errors import DataError
from glotclip.storage import cache_root

#: Three concepts whose file names differ between vendors: with fe0f, with joiners, with leading zeros.
CONCEPTS = ["1f600", "263a-fe0f", "1f441-fe0f-200d-1f5e8-fe0f", "23-fe0f-20e3"]


def test_ids() -> None:
    assert emoji_images.code_points("☺️") == "263a-fe0f"
    assert emoji_images.plain_id("0023-FE0F-20E3") == emoji_images.plain_id("23-20e3") == "23-20e3"


def test_every_spelling_of_a_file_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOTCLIP_EMOJI_VENDORS", str(tmp_path))
    folder = tmp_path / "emoji-datasource-me" / "img" / "me" / "64"
    folder.mkdir(parents=True)
    for name in ("1F600.png", "263a.png", "1f441-fe0f-200d-1f5e8.png", "0023-fe0f-20e3.png", "1f601.gif"):
        (folder / name).write_bytes(b"x")
    found = emoji_images.find("me", [*CONCEPTS, "1f601"])
    assert list(found) == CONCEPTS
    assert found["23-fe0f-20e3"].name == "0023-fe0f-20e3.png"


@pytest.mark.parametrize("inside", ["img/me/64", "package/img/me/64", "emoji-datasource-me/package/img/me/64", "me"])
def test_where_vendors_are_looked_for(tmp_path: Path, inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / inside).mkdir(parents=True)
    assert emoji_images.vendor_folder("me") is None
    monkeypatch.setenv("GLOTCLIP_EMOJI_VENDORS", f"/nonexistent:{tmp_path}")
    assert emoji_images.vendor_folder("me") == tmp_path / inside


def test_an_absent_vendor_says_where_to_get_it() -> None:
    with pytest.raises(DataError, match="vendor 'google'") as caught:
        emoji_images.find("google", CONCEPTS)
    assert "emoji-datasource-google" in caught.value.hint


def test_twemoji_comes_from_its_package() -> None:
    found = emoji_images.find("twemoji", CONCEPTS)
    assert list(found) == CONCEPTS
    with Image.open(found["1f600"]) as image:
        assert image.size == (72, 72)


def test_openmoji_is_drawn_once(tmp_path: Path) -> None:
    found = emoji_images.find("openmoji", CONCEPTS)
    assert list(found) == CONCEPTS
    for path in found.values():
        assert cache_root() in path.parents
        with Image.open(path) as image:
            assert image.size == (72, 72)
            assert len(image.convert("RGBA").getcolors(72 * 72) or []) > 2  # something is on it
    found["1f600"].unlink()  # a killed run leaves some undrawn: those alone are drawn
    times = {path: path.stat().st_mtime_ns for path in list(found.values())[1:]}
    assert emoji_images.find("openmoji", CONCEPTS) == found and found["1f600"].is_file()
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.slow
def test_two_processes_draw_side_by_side() -> None:
    code = (
        "from glotclip.data import emoji_images\n"
        "print(len(emoji_images.find('openmoji', [f'{c:x}' for c in range(0x1F600, 0x1F640)])))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [run.communicate(timeout=60)[0].strip() for run in runs] == ["64", "64"]
    drawn = list((cache_root() / "emoji-images").rglob("*.png"))
    assert len(drawn) == 64
    assert not list((cache_root() / "emoji-images").rglob("*.part"))
