"""``/v1/embeddings`` in the shape of OpenAI's API, so that other programs can use the encoders."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
from fastapi import APIRouter, Request

from glotclip.errors import ConfigError
from glotclip.library.encoder import Encoder, Floats
from glotclip.library.query import LONGEST
from glotclip.server import schemas
from glotclip.server.searching import PROBLEMS, library_of, model_of, read_picture

router = APIRouter(prefix="/v1", tags=["embeddings"])
MOST_INPUTS, AT_ONCE = 256, 16
AUTO = "auto"


@router.post("/embeddings", response_model=schemas.Embeddings, responses=PROBLEMS)
def embeddings(request: Request, asked: schemas.Embed) -> Any:
    """Encode texts, each in the language given or guessed, and pictures, as vectors of one space."""
    inputs = asked.input if isinstance(asked.input, list) else [asked.input]
    if not 0 < len(inputs) <= MOST_INPUTS:
        raise ConfigError(f"{len(inputs)} inputs at once", hint=f"send from 1 to {MOST_INPUTS}")
    library, name = library_of(request), model_of(request, asked.model)
    encoder = library.encoder(library.model(name), name)
    if asked.dimensions not in (None, encoder.dim):
        raise ConfigError(
            f"{encoder.name} gives {encoder.dim} numbers, not {asked.dimensions}", hint="leave out dimensions"
        )
    found = encoded(encoder, inputs, asked.language)
    return {
        "data": [
            {"index": place, "embedding": _written(vector, asked.encoding_format)}
            for place, vector in enumerate(found)
        ],
        "model": encoder.name,
        "usage": {"prompt_tokens": len(inputs), "total_tokens": len(inputs)},
    }


def encoded(encoder: Encoder, inputs: list[Any], language: str | None) -> Floats:
    """Normalised vectors (M, E) of texts and pictures.

    Raises:
        LanguageError: if the language is not installed.
        ImageError: if a picture cannot be read.
        ConfigError: if a text is too long.
    """
    vectors = np.zeros((len(inputs), encoder.dim), np.float32)
    texts: list[tuple[int, str]] = []
    pictures: list[tuple[int, str]] = []
    for place, each in enumerate(inputs):
        if isinstance(each, schemas.ImagePart):
            pictures.append((place, each.image_url.url))
        else:
            text = each if isinstance(each, str) else each.text
            (pictures if text.startswith("data:image/") else texts).append((place, text))
    if texts:
        if longest := max((len(text) for _, text in texts if len(text) > LONGEST), default=0):
            raise ConfigError(f"a text has {longest:,} characters", hint=f"send at most {LONGEST:,}")
        said = [text for _, text in texts]
        languages = [language] * len(said) if language else [each.lang for each in encoder.guess(said)]
        vectors[[place for place, _ in texts]] = encoder.encode_texts(said, [str(each) for each in languages])
    for start in range(0, len(pictures), AT_ONCE):
        part = pictures[start : start + AT_ONCE]
        pixels = [encoder.preprocess(read_picture(_content(url))) for _, url in part]
        vectors[[place for place, _ in part]] = encoder.encode_images(pixels)
    return vectors


def _content(url: str) -> bytes:
    head, _, body = url.partition(",")
    said, hint = "a picture's data URL cannot be read", "send data:image/jpeg;base64,…"
    if not head.endswith(";base64"):
        raise ConfigError(f"{said}: it is not in base64", hint=hint)
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ConfigError(f"{said}: {error}", hint=hint) from error


def _written(vector: Floats, form: str) -> Any:
    if form == "base64":
        return base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode()
    return [float(number) for number in vector]
