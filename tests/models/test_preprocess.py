from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from glotclip import image_formats
from glotclip.errors import ConfigError, ImageError
from glotclip.models.preprocess import Preprocess

PLAIN = Preprocess(size=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def photo(width: int, height: int) -> Image.Image:
    """An image with both smooth and sharp parts."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [128 + 100 * np.sin(x / 17 + k) * np.cos(y / 23) + 20 * ((x // 8 + y // 8) % 2) for k in range(3)]
    return Image.fromarray(np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def reference() -> Any:
    from transformers import CLIPImageProcessorPil

    return CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


@settings(deadline=None, max_examples=30)
@given(width=st.integers(4, 150), height=st.integers(4, 150))
def test_equals_transformers(reference: Any, width: int, height: int) -> None:
    image = photo(width, height)
    expected = np.asarray(reference(image, return_tensors="np")["pixel_values"][0])
    ours = Preprocess(size=32).load(image)
    assert ours.dtype == np.float32
    # Strips of more than 1 : 8 are cut before they are scaled, which rounds a few values the other way.
    strip = max(width, height) > 8 * min(width, height)
    assert np.abs(ours - expected).max() < (2.1 / 255 / 0.26 if strip else 1e-6)


@pytest.mark.slow
def test_reduced_jpeg_decoding_stays_close(reference: Any, tmp_path: Path) -> None:
    photo(1600, 1200).save(tmp_path / "a.jpg", quality=92)
    with Image.open(tmp_path / "a.jpg") as image:
        expected = np.asarray(reference(image, return_tensors="np")["pixel_values"][0])
    assert np.abs(Preprocess(size=32).load(tmp_path / "a.jpg") - expected).mean() < 0.03


@pytest.mark.parametrize("resize", ["shortest", "squash", "pad"])
@pytest.mark.parametrize("size", [(64, 48), (70, 900), (33, 31), (1, 5000), (3, 2)])
def test_any_shape_gives_a_square(tmp_path: Path, resize: Any, size: tuple[int, int]) -> None:
    photo(*size).save(tmp_path / "a.jpg")
    pixels = Preprocess(size=32, resize=resize).load(tmp_path / "a.jpg")
    assert pixels.shape == (3, 32, 32)
    assert np.isfinite(pixels).all()


def test_draft_never_goes_below_the_needed_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    resize = Image.Image.resize

    def watched(self: Image.Image, *arguments: Any, **more: Any) -> Image.Image:
        sizes.append(self.size)
        return resize(self, *arguments, **more)

    monkeypatch.setattr(Image.Image, "resize", watched)
    for width, height in ((2000, 300), (640, 480), (1200, 900), (100, 70)):
        photo(width, height).save(tmp_path / "a.jpg")
        PLAIN.load(tmp_path / "a.jpg")
        assert min(sizes[-1]) >= min(32, height)
    assert sizes[2] == (150, 113)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64), "black")
    image.paste("white", (0, 0, 64, 32))  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise: white comes to the right
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = PLAIN.load(tmp_path / "a.jpg")
    assert pixels[:, :, 20:].mean() > 0.9
    assert pixels[:, :, :12].mean() < 0.1


def _modes() -> dict[str, Image.Image]:
    half = Image.new("RGBA", (40, 40), (255, 0, 0, 255))
    half.paste((0, 0, 0, 0), (0, 0, 40, 20))
    palette = half.convert("RGB").quantize(4)
    palette.info["transparency"] = palette.getpixel((0, 0))
    grey = Image.new("LA", (40, 40), (0, 0))
    grey.paste((0, 255), (0, 20, 40, 40))
    return {"RGBA": half, "P": palette, "LA": grey}


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_transparency_becomes_white(tmp_path: Path, mode: str) -> None:
    image = _modes()[mode]
    image.save(tmp_path / "a.png", **({"transparency": image.info["transparency"]} if mode == "P" else {}))
    pixels = PLAIN.load(tmp_path / "a.png")
    assert pixels[:, :13].min() > 0.99
    assert pixels[1, 19:].max() < 0.01


def test_deep_and_print_colours(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 40), 32_896, np.uint16)).save(tmp_path / "16.png")
    Image.fromarray(np.full((40, 40), 0.5, np.float32)).save(tmp_path / "f.tiff")
    Image.new("CMYK", (40, 40), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=95)
    Image.new("1", (40, 40), 1).save(tmp_path / "1.png")
    assert PLAIN.load(tmp_path / "16.png") == pytest.approx(128 / 255, abs=0.01)
    assert PLAIN.load(tmp_path / "f.tiff") == pytest.approx(0.5, abs=0.01)
    assert PLAIN.load(tmp_path / "1.png") == pytest.approx(1)
    red = PLAIN.load(tmp_path / "cmyk.jpg")
    assert red[0].min() > 0.8
    assert red[1:].max() < 0.3


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + data


@pytest.mark.parametrize("size", [(20_000, 10_000), (16_000, 10_000)])
def test_huge_images_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "a.png").write_bytes(_png_header(*size))
    with pytest.raises(ImageError, match="limit of 150 megapixels"):
        PLAIN.load(tmp_path / "a.png")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_cut_and_damaged_files_are_image_errors(tmp_path: Path, form: str) -> None:
    stream = io.BytesIO()
    photo(120, 90).save(stream, form)
    whole = stream.getvalue()
    file = tmp_path / f"a.{form.lower()}"
    for cut in (len(whole) // 2, 30, 9):
        file.write_bytes(whole[:cut])
        with pytest.raises(ImageError) as caught:
            PLAIN.load(file)
        assert caught.value.hint


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_flipped_bytes_never_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    stream = io.BytesIO()
    photo(30, 20).save(stream, data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP"])))
    content = bytearray(stream.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "flipped"
    file.write_bytes(bytes(content))
    try:
        assert PLAIN.load(file).shape == (3, 32, 32)
    except ImageError as error:
        assert str(file) in error.message


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    (tmp_path / "empty.jpg").touch()
    for name, message in (("a.png", "not an image"), ("empty.jpg", "not an image"), ("no.png", "does not exist")):
        with pytest.raises(ImageError, match=message):
            PLAIN.load(tmp_path / name)
    with pytest.raises(ImageError, match="cannot be read"):
        PLAIN.load(tmp_path)
    with pytest.raises(ConfigError):
        Preprocess(size=0)


def test_threads_leave_the_warnings_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own warning of large images never shows, and the process's filters come back."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)  # Pillow warns from here on, and refuses twice as many
    photo(36, 30).save(tmp_path / "a.png")
    before, interval = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            for loaded in pool.map(PLAIN.load, [tmp_path / "a.png"] * 400):
                assert loaded.shape == (3, 32, 32)
    finally:
        sys.setswitchinterval(interval)
    assert list(warnings.filters) == before


HEIC = (
    Path(__file__).parent / "red_blue.heic"
)  # 48 × 32, made with pillow-heif: the left half red, the right one blue


@pytest.mark.parametrize("name", ["photo.heic", "photo.HEIC", "really-heic.jpg", "photo"])
def test_heic_is_read_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(HEIC.read_bytes())
    pixels = PLAIN.load(path)
    assert pixels[0, :, 2:10].mean() > 0.8 > 0.3 > pixels[0, :, -10:-2].mean()
    path.write_bytes(HEIC.read_bytes()[:-60])
    with pytest.raises(ImageError):
        PLAIN.load(path)


@pytest.mark.parametrize("name", ["photo.heic", "photo.jpg"])
def test_without_pi_heif_the_way_to_read_heic_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HEIC.read_bytes())
    code = f"""
import sys
sys.modules["pi_heif"] = None  # as if it were not installed
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda module: None if module == "pi_heif" else find(module)
from glotclip.errors import ImageError
from glotclip.models.preprocess import Preprocess
try:
    Preprocess().load({str(tmp_path / name)!r})
except ImageError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "is a HEIC image, which needs pi-heif" in out and "pip install 'glotclip[photos]'" in out


@pytest.mark.parametrize(
    "form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "ICO", "TGA", "PPM", "PCX"]
)
def test_every_format_of_the_list_is_read_by_its_suffix(tmp_path: Path, form: str) -> None:
    suffixes = [suffix for suffix, name in Image.registered_extensions().items() if name == form]
    assert suffixes and set(suffixes) <= image_formats.suffixes()
    for suffix in suffixes:
        path = tmp_path / f"a{suffix}"
        photo(64, 48).save(path, form)
        assert PLAIN.load(path).shape == (3, 32, 32)


def test_no_format_that_runs_another_program_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EPS under the name of a photo: Pillow would start Ghostscript."""
    monkeypatch.setattr(subprocess, "check_call", lambda *_, **__: pytest.fail("a program was started"))
    for name in ("a.jpg", "a.eps", "a.ps", "a", "a.gif"):
        path = tmp_path / name
        path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
        with pytest.raises(ImageError, match="is not an image"):
            PLAIN.load(path)
    assert {".eps", ".ps", ".wmf", ".pdf", ".mpg"}.isdisjoint(image_formats.suffixes())


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_several_frames_the_first_counts(tmp_path: Path, form: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("white", "black", "black")]
    frames[0].save(tmp_path / "a", form, save_all=True, append_images=frames[1:])
    assert PLAIN.load(tmp_path / "a").min() > 0.95


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageError, match="not a regular file"):
        PLAIN.load(tmp_path / "a.png")


def test_a_palette_with_several_transparent_entries(tmp_path: Path) -> None:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([255, 0, 0, 0, 0, 0] + [0] * 762)
    image.paste(1, (0, 20, 40, 40))
    image.save(tmp_path / "a.png", transparency=bytes([0, 255] + [255] * 254))
    pixels = PLAIN.load(tmp_path / "a.png")
    assert pixels[:, :13].min() > 0.99 and pixels[:, 19:].max() < 0.01
