"""What exports are compared on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glotclip.errors import DataError
from glotclip.onnx import samples


@pytest.mark.parametrize("lang", ["en", "de", "ar", "zh"])
def test_texts_are_the_languages_own_and_some_are_long(lang: str) -> None:
    found = samples.texts(lang)
    assert len(found) == len(set(found)) == samples.TEXTS + samples.LONGER
    assert max(map(len, found)) > 4 * min(map(len, found))
    assert found != samples.texts("fr")


def test_a_language_without_names_is_compared_on_english() -> None:
    assert samples.texts("la") == samples.texts("en")


def test_pictures_differ_and_repeat() -> None:
    pictures = [np.asarray(samples.drawn(number)) for number in range(6)]
    assert np.array_equal(pictures[2], np.asarray(samples.drawn(2)))
    assert len({picture.tobytes() for picture in pictures}) == 6


def test_images_of_a_folder_are_spread_over_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image"):
        samples.images(tmp_path)
    for number in range(70):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"{number:02}.png")
    found, which = samples.images(tmp_path)
    assert len(found) == samples.IMAGES and str(found[1]).endswith("02.png")
    assert which.startswith(f"{samples.IMAGES} of 70 in ")
    assert len(samples.images(None)[0]) == samples.IMAGES
