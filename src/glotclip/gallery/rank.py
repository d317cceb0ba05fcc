"""A plain exact search: every image of a gallery is compared with the query.

Pictures are encoded once and kept in the feature cache, so a second query over the same folder costs one
matrix product.

Shapes: N pictures, n pictures that could be read, Q queries, E embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from glotclip.data.features import FeatureCache
from glotclip.data.schema import BadRow, describe
from glotclip.errors import ConfigError, DataError
from glotclip.textforms import visible

Floats = npt.NDArray[np.float32]


class Preprocessing(Protocol):
    """How a model reads a picture."""

    def load(self, picture: Any) -> Floats:
        """Return the pixels (3, H, W) of a picture's path."""
        ...


class Base(Protocol):
    """What search needs of a base: what its features depend on, and how it reads pictures."""

    @property
    def fingerprint(self) -> str:
        """Identifies everything that changes a feature."""
        ...

    @property
    def preprocess(self) -> Preprocessing:
        """How it reads pictures."""
        ...


class Searchable(Protocol):
    """What search needs of a model."""

    @property
    def base(self) -> Base:
        """The frozen dual encoder."""
        ...

    def encode_text(self, texts: Sequence[str], lang: str | Sequence[str], *, long: Literal["cut", "mean"]) -> Any:
        """Return a tensor of features (Q, E) of texts, each in its language."""
        ...

    def image_features(self, pixels: Floats) -> Floats:
        """Return features (N, E) of pixels (N, 3, H, W)."""
        ...


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture and its cosine similarity to the query, from −1 to 1."""

    path: Path
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to Q queries over the same pictures.

    Attributes:
        hits: for each query its best pictures, best first.
        searched: how many pictures were compared.
        bad: pictures that could not be read.
    """

    hits: tuple[tuple[Hit, ...], ...]
    searched: int
    bad: tuple[BadRow, ...]


def rank(
    model: Searchable,
    pictures: Sequence[Path],
    queries: Sequence[str],
    langs: Sequence[str],
    *,
    top: int = 5,
    long: Literal["cut", "mean"] = "cut",
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Find the pictures that fit each query best; pictures of equal score keep their order.

    Args:
        model: encodes texts and pictures.
        pictures: where to look, N paths.
        queries: Q texts.
        langs: the language of each of them.
        top: how many pictures to return for each query, at most.
        long: whether queries longer than the model's context are cut, with a warning, or read in windows.
        cache: root of the feature cache.
        progress: called with (done, total) while pictures that are new are encoded.

    Raises:
        DataError: if no picture can be read.
        LanguageError: if a language is not installed.
    """
    if top < 1:
        raise ConfigError(f"cannot return the best {top} pictures", hint="give --top a number from 1")
    if not all(visible(query) for query in queries):
        raise ConfigError("the query is empty, or holds nothing that is seen", hint="say what the picture shows")
    texts = np.asarray(
        model.encode_text(queries, list(langs), long=long).cpu(), dtype=np.float32
    )  # first: it fails fast
    store = FeatureCache(model.base.fingerprint, cache)
    features = store.images(pictures, model.base.preprocess.load, model.image_features, progress=progress)
    readable = np.flatnonzero(features.rows >= 0)
    if not len(readable):
        first = f": {describe(features.bad[0])}" if features.bad else ""
        raise DataError(f"none of {len(pictures)} pictures can be read{first}", hint="check the pictures")
    scores = _unit(texts) @ _unit(np.asarray(features.array[features.rows[readable]])).T  # (Q, n)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    hits = tuple(
        tuple(Hit(pictures[int(readable[place])], float(row[place])) for place in places)
        for row, places in zip(scores, best, strict=True)
    )
    return Found(hits, len(readable), features.bad)


def _unit(features: Floats) -> Floats:
    """Scale rows to length one; a row of zeros stays, and is similar to nothing."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    scaled: Floats = features / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
