"""Which files can be images, by name and by first bytes."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from glotclip import image_formats


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "JPEG2000", "AVIF"])
def test_common_formats_are_known_by_their_first_bytes(form: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(stream, form)
    head = stream.getvalue()[: image_formats.HEAD]
    assert image_formats.looks_like_an_image(head)
    assert not image_formats.is_heif(head)
    assert form in image_formats.decodable()


def test_heif_is_known_by_its_brand() -> None:
    head = b"\0\0\0\x18ftypheic\0\0\0\0"
    assert image_formats.is_heif(head) and image_formats.looks_like_an_image(head)
    assert not image_formats.is_heif(b"\0\0\0\x18ftypisom\0\0\0\0")


@pytest.mark.parametrize("head", [b"", b"BM", b"hello, world", b"RIFF\0\0\0\0WAVE", b"%!PS-Adobe-3.0", b"\xff\xd8"])
def test_other_files_do_not_look_like_images(head: bytes) -> None:
    assert not image_formats.looks_like_an_image(head)


def test_formats_that_start_programs_are_left_out() -> None:
    assert {"EPS", "WMF", "MPEG"}.isdisjoint(image_formats.decodable())
    assert {".jpg", ".png", ".webp", ".avif"} <= image_formats.suffixes()
    assert {".eps", ".ps", ".wmf", ".pdf", ".mpg"}.isdisjoint(image_formats.suffixes())
