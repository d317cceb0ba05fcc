"""What is read of a file besides its pixels."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests.library.conftest import CountingEncoder, picture
from tests.models.test_image_files import write_raw

from glotclip import image_formats
from glotclip.errors import ImageError, VideoError
from glotclip.library.decoding import dated, decode_image, decode_video


def test_a_turned_picture_is_upright(tmp_path: Path, encoder: CountingEncoder) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "Camera"
    picture(tmp_path / "a.jpg", 1, "JPEG", size=(120, 60), exif=exif)
    found = decode_image(tmp_path / "a.jpg", encoder)
    assert (found.kind, found.width, found.height, found.times) == ("image", 60, 120, [None])
    assert found.metadata.camera == "Camera"
    assert found.pixels[0].shape == (3, 24, 24)
    assert dated(found, "IMG_20200101.jpg", 0).metadata.dated_by == "name"


@pytest.mark.skipif(not image_formats.has_raw(), reason="needs rawpy")
def test_a_raw_picture(tmp_path: Path, encoder: CountingEncoder) -> None:
    found = decode_image(write_raw(tmp_path / "a.dng"), encoder)
    assert (found.width, found.height) == (32, 32)


def test_what_cannot_be_read(tmp_path: Path, encoder: CountingEncoder) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(ImageError):
        decode_image(tmp_path / "a.png", encoder)
    with pytest.raises(VideoError):
        decode_video(tmp_path / "a.png", encoder)
