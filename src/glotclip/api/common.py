"""What loading, teaching and evaluating have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glotclip.data.features import FeatureCache, Features
from glotclip.data.view import Translate
from glotclip.packs.polyglot import Polyglot
from glotclip.translate.cache import Translator
from glotclip.translate.specs import open_engine

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark
    from glotclip.translate.engine import Engine

Progress = Callable[[str, int, int], None]
ENGLISH = "en"


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class PolyglotEncoder:
    """A polyglot as evaluation sees it."""

    polyglot: Polyglot
    precision: str = "fp32"

    def encode_text(self, texts: Sequence[str], lang: str) -> np.ndarray[Any, Any]:
        """Normalised features (M, E) of texts in one language."""
        features: np.ndarray[Any, Any] = (
            self.polyglot.encode_text(texts, lang, precision=self.precision).cpu().numpy()
        )
        return features


def gallery_features(
    polyglot: Polyglot, benchmark: Benchmark, cache: Path | None = None, progress: Progress = silent
) -> Features:
    """Features of a benchmark's pictures or videos, from the cache or computed into it."""
    store = FeatureCache(polyglot.base.fingerprint, cache)
    load_pixels, encode = polyglot.base.preprocess.load, polyglot.image_features
    say = partial(progress, f"{benchmark.medium}s")
    if benchmark.sampling is not None:
        return store.videos(benchmark.images, load_pixels, encode, sampling=benchmark.sampling, progress=say)
    return store.images(benchmark.images, load_pixels, encode, progress=say)


def translator_of(companions: str | Engine | None, cache: Path | None) -> Translate | None:
    """Translate through the disk cache with the engine that was named, if one was."""
    if companions is None:
        return None
    engine = open_engine(companions) if isinstance(companions, str) else companions
    return Translator(engine, cache).translate
