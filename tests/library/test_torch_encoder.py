"""A polyglot encodes for a library what it encodes by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.library.conftest import picture

from glotclip.errors import ConfigError
from glotclip.library.decoding import decode_image
from glotclip.library.torch_encoder import TorchEncoder

if TYPE_CHECKING:
    from glotclip.library.encoder import Encoder
    from glotclip.packs.polyglot import Polyglot


def test_vectors_are_those_of_the_polyglot(polyglot: Polyglot, tmp_path: Path) -> None:
    encoder: Encoder = TorchEncoder(polyglot)
    paths = [picture(tmp_path / f"{number}.jpg", number, "JPEG", size=(400, 300)) for number in range(5)]
    vectors = encoder.encode_images([decode_image(path, encoder).pixels[0] for path in paths])
    np.testing.assert_allclose(vectors, polyglot.encode_image(paths).numpy(), atol=1e-5)
    assert vectors.dtype == np.float32
    assert encoder.encode_images([]).shape == (0, encoder.dim)
    texts = encoder.encode_texts(["a dog", "a cat"], ["en", "en"])
    np.testing.assert_allclose(texts, polyglot.encode_text(["a dog", "a cat"]).numpy(), atol=1e-6)
    assert encoder.fingerprint == polyglot.base.fingerprint
    assert encoder.guess(["a dog"])[0].lang == "en"


def test_pictures_are_encoded_in_the_precision_asked_for(polyglot: Polyglot, tmp_path: Path) -> None:
    full, low = (TorchEncoder(polyglot, precision=name) for name in ("fp32", "bf16"))
    pixels = [decode_image(picture(tmp_path / f"{number}.png", number), full).pixels[0] for number in range(4)]
    exact, rounded = full.encode_images(pixels), low.encode_images(pixels)
    assert not np.array_equal(exact, rounded)
    assert (exact * rounded).sum(axis=1).min() > 0.999
    assert TorchEncoder(polyglot).precision == "fp32"
    assert TorchEncoder(polyglot, precision="auto").precision in ("fp32", "bf16")
    with pytest.raises(ConfigError, match="unknown precision 'fp8'"):
        TorchEncoder(polyglot, precision="fp8")
