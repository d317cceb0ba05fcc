"""Hashes of pictures that look the same are near, and others far."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from glotclip.library.hashes import NEAR, dhash, distances


def scene(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(noise).resize((480, 360), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(8))


def test_what_looks_the_same_is_near_and_the_rest_is_far() -> None:
    stream = io.BytesIO()
    near, far = [], []
    for seed in range(30):
        picture = scene(seed)
        picture.save(stream := io.BytesIO(), "JPEG", quality=40)
        changed = [Image.open(stream), picture.resize((150, 110)), ImageEnhance.Brightness(picture).enhance(1.15)]
        hashes = np.array([dhash(each) for each in changed], np.int64)
        near += distances(dhash(picture), hashes).tolist()
        far.append(int(distances(dhash(picture), np.array([dhash(scene(seed + 100))], np.int64))[0]))
    assert max(near) <= NEAR
    assert min(far) > NEAR


def test_distances_are_counted_in_bits() -> None:
    values = np.array([0, -1, 1, -(2**63), 2**63 - 1], np.int64)
    assert distances(0, values).tolist() == [0, 64, 1, 1, 63]
    assert distances(-1, values).tolist() == [64, 0, 63, 63, 1]
