"""Image files of every kind are opened upright, or refused with a reason; see also test_preprocess.py."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glotclip import image_formats
from glotclip.errors import ImageError
from glotclip.models.image_files import check_size, opened, upright


def write_raw(path: Path, size: int = 64) -> Path:
    """Write a raw picture as a camera's sensor gives it: a DNG of grey levels behind a colour filter, no preview."""
    levels = np.full((size, size), 8_000, np.uint16)
    levels[:, size // 2 :] = 30_000
    pixels = levels.tobytes()
    one = [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]  # the unit matrix in fractions
    values: list[tuple[int, str, bytes | list[int]]] = [
        (254, "I", [0]), (256, "I", [size]), (257, "I", [size]), (258, "H", [16]), (259, "H", [1]),
        (262, "H", [32803]), (271, "s", b"Glot\0"), (272, "s", b"Clip 1\0"), (273, "I", [0]), (274, "H", [1]),
        (277, "H", [1]), (278, "I", [size]), (279, "I", [len(pixels)]), (284, "H", [1]), (33421, "H", [2, 2]),
        (33422, "B", bytes([0, 1, 1, 2])), (50706, "B", bytes([1, 4, 0, 0])), (50708, "s", b"Glot Clip 1\0"),
        (50714, "H", [0]), (50717, "I", [65535]), (50721, "i", one), (50728, "Q", [1] * 6), (50778, "H", [21]),
    ]  # fmt: skip
    types = {"B": 1, "s": 2, "H": 3, "I": 4, "Q": 5, "i": 10}
    entries: list[tuple[int, int, int, bytes]] = []
    for tag, kind, value in values:
        if isinstance(value, bytes):
            entries.append((tag, types[kind], len(value), value))
        else:
            code = {"Q": "I"}.get(kind, kind)
            count = len(value) // (2 if kind in "Qi" else 1)
            entries.append((tag, types[kind], count, struct.pack(f"<{len(value)}{code}", *value)))
    start = 8 + 2 + 12 * len(entries) + 4
    long = sum(len(raw) + len(raw) % 2 for *_, raw in entries if len(raw) > 4)
    table, beyond = b"", b""
    for tag, kind_number, count, raw in entries:
        data = struct.pack("<I", start + long) if tag == 273 else raw
        table += struct.pack("<HHI", tag, kind_number, count)
        table += data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", start + len(beyond))
        beyond += data + b"\0" * (len(data) % 2) if len(data) > 4 else b""
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    path.write_bytes(head + table + bytes(4) + beyond + pixels)
    return path


@pytest.mark.skipif(not image_formats.has_raw(), reason="needs rawpy")
def test_a_raw_picture_is_developed(tmp_path: Path) -> None:
    with opened(write_raw(tmp_path / "a.dng")) as image:
        picture = np.asarray(upright(image), np.float32)
    assert picture.shape == (32, 32, 3)
    assert picture[:, :10].mean() + 50 < picture[:, -10:].mean()
    assert ".dng" in image_formats.suffixes()
    (tmp_path / "b.nef").write_bytes(b"no raw picture")
    with pytest.raises(ImageError, match="no raw picture that can be read"), opened(tmp_path / "b.nef"):
        pass


@pytest.mark.skipif(not image_formats.has_jxl(), reason="needs pillow-jxl-plugin")
def test_jpeg_xl_is_read(tmp_path: Path) -> None:
    assert "JXL" in image_formats.decodable()
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jxl", lossless=True)
    with opened(tmp_path / "a.jxl") as image:
        np.testing.assert_array_equal(np.asarray(upright(image)), noise)


def test_a_picture_is_turned_and_scaled_while_it_is_decoded(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.linear_gradient("L").resize((1600, 800)).save(tmp_path / "a.jpg", exif=exif)
    with opened(tmp_path / "a.jpg") as image:
        assert upright(image).size == (800, 1600)
    with opened(tmp_path / "a.jpg") as image:
        assert upright(image, 200).size == (200, 400)
    with opened(tmp_path / "a.jpg") as image:
        assert upright(image, 201).size == (400, 800)  # never smaller than is enough


def test_what_has_too_many_pixels_or_none_is_refused(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "bomb.png")
    with pytest.raises(ImageError, match="megapixels"), opened(tmp_path / "bomb.png"):
        pass
    with pytest.raises(ImageError, match="no pixels"):
        check_size(Image.new("RGB", (0, 3)), "it")
    with pytest.raises(ImageError, match="not a regular file"), opened(tmp_path):
        pass
