"""A plain exact search: every image of a gallery is compared with the query.

Images are encoded once and kept in the feature cache, so a second query over a folder costs one matrix product.

Shapes: N images, n images that could be read, Q queries, L readings of all queries in their languages, E embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from glotclip.data.features import FeatureCache
from glotclip.data.schema import SkippedItem, describe
from glotclip.data.similarity import score_blocks, unit_rows
from glotclip.errors import ConfigError, DataError
from glotclip.gallery.fusion import mixture
from glotclip.models.windows import Long
from glotclip.textforms import visible

Floats = npt.NDArray[np.floating]


class Encoder(Protocol):
    """What searching needs of a model: a polyglot has it, and so has an exported model."""

    @property
    def features_key(self) -> str:
        """What features of images are cached under."""
        ...

    def preprocess(self, image: Path) -> npt.NDArray[np.float32]:
        """Read one image as the image tower wants it, float32 (3, H, W)."""
        ...

    def image_features(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Raw features (N, E) of preprocessed pixels (N, 3, H, W)."""
        ...

    def encode_texts(self, texts: Sequence[str], langs: Sequence[str], *, long: Long = "cut") -> Floats:
        """Normalised features (M, E) of texts, each in its language."""
        ...


@dataclass(frozen=True, slots=True)
class Hit:
    """An image and its cosine similarity to the query, from −1 to 1; in the language that suits it, of several."""

    path: Path
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to Q queries over the same images.

    Attributes:
        hits: for each query its best images, best first.
        searched: how many images were compared.
        skipped: images that could not be read.
    """

    hits: tuple[tuple[Hit, ...], ...]
    searched: int
    skipped: tuple[SkippedItem, ...]


def rank(
    model: Encoder,
    images: Sequence[Path],
    queries: Sequence[str],
    langs: Sequence[str | Mapping[str, float]],
    *,
    top: int = 5,
    long: Long = "cut",
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Find the images that fit each query best; images of equal score keep their order.

    Args:
        model: encodes texts and images.
        images: where to look, N paths.
        queries: Q texts.
        langs: the language of each of them; or where that is not sure, the likely ones with their probabilities,
            whose rankings are then fused (:mod:`glotclip.gallery.fusion`).
        top: how many images to return for each query, at most.
        long: whether queries longer than the model's context are cut, with a warning, or read in windows.
        cache: root of the feature cache.
        progress: called with (done, total) while images that are new are encoded.

    Raises:
        DataError: if no image can be read.
        LanguageError: if a language is not installed.
    """
    if top < 1:
        raise ConfigError(f"cannot return the best {top} images", hint="give --top a number from 1")
    if not all(visible(query) for query in queries):
        raise ConfigError("the query is empty, or holds nothing that is seen", hint="say what the image shows")
    readings = [{lang: 1.0} if isinstance(lang, str) else dict(lang) for lang in langs]
    texts = [query for query, weights in zip(queries, readings, strict=True) for _ in weights]
    codes = [code for weights in readings for code in weights]
    encoded = model.encode_texts(texts, codes, long=long)  # (L, E); first, since it fails fast
    store = FeatureCache(model.features_key, cache)
    features = store.images(images, model.preprocess, model.image_features, progress=progress)
    readable = np.flatnonzero(features.rows >= 0)
    if not len(readable):
        first = f": {describe(features.skipped[0])}" if features.skipped else ""
        raise DataError(f"none of {len(images)} images can be read{first}", hint="check the images")
    gallery = unit_rows(features.array[features.rows[readable]], what="features of the images")  # (n, E)
    cosines = np.concatenate([scores for _, scores in score_blocks(encoded, gallery)])  # (L, n)
    ends = np.cumsum([len(weights) for weights in readings])[:-1]
    hits = []
    for rows, weights in zip(np.split(cosines, ends), readings, strict=True):
        scores, order = _fused(rows, list(weights.values()))
        best = np.argsort(-order, kind="stable")[:top]
        hits.append(tuple(Hit(images[int(readable[place])], float(scores[place])) for place in best))
    return Found(tuple(hits), len(readable), features.skipped)


def _fused(cosines: Floats, weights: Sequence[float]) -> tuple[Floats, Floats]:
    """Each image's cosine in the language that suits it, and what ranks it (n,), from cosines (L, n)."""
    if len(cosines) == 1:
        return cosines[0], cosines[0]
    shares = mixture(cosines, weights)
    return np.take_along_axis(cosines, shares.argmax(axis=0)[None], axis=0)[0], shares.sum(axis=0)
