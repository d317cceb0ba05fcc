"""Libraries among a few small pictures, indexed by a tiny CLIP of random weights that counts what it encodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from glotclip.library.encoder import Floats
from glotclip.library.library import Library
from glotclip.library.torch_encoder import TorchEncoder
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder


class CountingEncoder(TorchEncoder):
    """A real encoder that counts the pictures it encodes."""

    def __init__(self, polyglot: Polyglot) -> None:
        super().__init__(polyglot)
        self.count = 0

    def encode_images(self, batch: Sequence[Floats]) -> Floats:
        self.count += len(batch)
        return super().encode_images(batch)


def picture(path: Path, number: int, form: str = "PNG", size: tuple[int, int] = (24, 24), **save: object) -> Path:
    """Write a picture of noise that differs by its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path, form, **save)
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("GLOTCLIP_LIBRARY", raising=False)


@pytest.fixture(scope="session")
def polyglot(base: DualEncoder) -> Polyglot:
    return Polyglot(base)


@pytest.fixture
def encoder(polyglot: Polyglot) -> CountingEncoder:
    return CountingEncoder(polyglot)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of forty pictures, of which ten are in a folder of their own."""
    root = tmp_path / "photos"
    for number in range(40):
        picture(root / ("trip" if number >= 30 else "") / f"{number:02}.png", number)
    return root


@pytest.fixture
def library(tmp_path: Path, encoder: CountingEncoder) -> Iterator[Library]:
    """An empty library; queries are encoded by ``encoder``."""
    with Library(tmp_path / "library", create=True) as made:
        made.add_encoder(encoder)
        yield made
