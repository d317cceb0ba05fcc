"""The shape is OpenAI's; the vectors are the encoder's."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from glotclip.library.library import Library
from glotclip.server.embeddings import MOST_INPUTS


def data_url(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def test_texts_and_pictures(client: TestClient, library: Library, photos: Path) -> None:
    encoder = library.encoder(library.model())
    url = data_url(photos / "01.png")
    inputs = ["a dog", {"type": "text", "text": "a cat"}, url, {"type": "image_url", "image_url": {"url": url}}]
    found = client.post("/v1/embeddings", json={"input": inputs, "language": "en", "model": None}).json()
    assert [each["index"] for each in found["data"]] == [0, 1, 2, 3] and found["object"] == "list"
    vectors = np.array([each["embedding"] for each in found["data"]], np.float32)
    np.testing.assert_allclose(vectors[:2], encoder.encode_texts(["a dog", "a cat"], ["en"] * 2), atol=1e-6)
    with Image.open(photos / "01.png") as image:
        expected = encoder.encode_images([encoder.preprocess(image.convert("RGB"))])
    np.testing.assert_allclose(vectors[2:], np.repeat(expected, 2, axis=0), atol=1e-5)
    assert found["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


def test_one_text_in_base64(client: TestClient, library: Library) -> None:
    asked = {"input": "a dog", "encoding_format": "base64"}
    (found,) = client.post("/v1/embeddings", json=asked).json()["data"]
    vector = np.frombuffer(base64.b64decode(found["embedding"]), "<f4")
    assert vector.shape == (library.model().dim,) and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "asked",
    [{"input": []}, {"input": ["x"] * (MOST_INPUTS + 1)}, {"input": "data:image/png;base64,????"}, {"input": [""]},
     {"input": "data:image/png,plain"}, {"input": "x", "dimensions": 3}, {"input": "x", "language": "xx"},
     {"input": "x" * 10_001}, {"input": "x", "model": "nothing"}, {"input": "data:image/png;base64,AAAA"}],
)  # fmt: skip
def test_wrong_requests(client: TestClient, asked: dict[str, object]) -> None:
    answer = client.post("/v1/embeddings", json=asked)
    assert answer.status_code == 422 and answer.json()["error"]
