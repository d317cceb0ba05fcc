"""A plain exact search: every image of a gallery is compared with the query.

Pictures are encoded once and kept in the feature cache, so a second query over the same folder costs one
matrix product.

Shapes: N pictures, n pictures that could be read, Q queries, E embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from glotclip.data.features import FeatureCache
from glotclip.data.schema import SkippedItem, describe
from glotclip.errors import ConfigError, DataError
from glotclip.gallery.fusion import mixture
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
    """A picture and its cosine similarity to the query, from −1 to 1; in the language that suits it, of several."""

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
    skipped: tuple[SkippedItem, ...]


def rank(
    model: Searchable,
    pictures: Sequence[Path],
    queries: Sequence[str],
    langs: Sequence[str | Mapping[str, float]],
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
        langs: the language of each of them; or where that is not sure, the likely ones with their probabilities,
            whose rankings are then fused (:mod:`glotclip.gallery.fusion`).
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
    read = [{lang: 1.0} if isinstance(lang, str) else dict(lang) for lang in langs]
    asked = [(query, code) for query, codes in zip(queries, read, strict=True) for code in codes]
    texts, codes = [query for query, _ in asked], [code for _, code in asked]
    encoded = np.asarray(model.encode_text(texts, codes, long=long).cpu(), dtype=np.float32)  # first: it fails fast
    store = FeatureCache(model.base.fingerprint, cache)
    features = store.images(pictures, model.base.preprocess.load, model.image_features, progress=progress)
    readable = np.flatnonzero(features.rows >= 0)
    if not len(readable):
        first = f": {describe(features.skipped[0])}" if features.skipped else ""
        raise DataError(f"none of {len(pictures)} pictures can be read{first}", hint="check the pictures")
    cosines = _unit(encoded) @ _unit(np.asarray(features.array[features.rows[readable]])).T  # (L over all Q, n)
    ends = np.cumsum([len(weights) for weights in read])[:-1]
    hits = []
    for rows, weights in zip(np.split(cosines, ends), read, strict=True):
        scores, order = _fused(rows, list(weights.values()))
        best = np.argsort(-order, kind="stable")[:top]
        hits.append(tuple(Hit(pictures[int(readable[place])], float(scores[place])) for place in best))
    return Found(tuple(hits), len(readable), features.skipped)


def _fused(cosines: Floats, weights: Sequence[float]) -> tuple[Floats, npt.NDArray[np.floating]]:
    """Each picture's cosine in the language that suits it, and what ranks it (n,), from cosines (L, n)."""
    if len(cosines) == 1:
        return cosines[0], cosines[0]
    shares = mixture(cosines, weights)
    return np.take_along_axis(cosines, shares.argmax(axis=0)[None], axis=0)[0], shares.sum(axis=0)


def _unit(features: Floats) -> Floats:
    """Scale rows to length one; a row of zeros stays, and is similar to nothing."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    scaled: Floats = features / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
