"""What loading, teaching and evaluating have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glotclip.data.features import FeatureCache, Features
from glotclip.data.schema import BadRow, describe
from glotclip.data.view import Translate
from glotclip.ownership import Workplace
from glotclip.packs.polyglot import Polyglot
from glotclip.translate.cache import Translator
from glotclip.translate.specs import open_translator

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark
    from glotclip.translate.engine import Engine

Progress = Callable[[str, int, int], None]
ENGLISH, SKIPPED = "en", "skipped.txt"


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


def translator_of(engine: str | Engine, cache: Path | None) -> Translator:
    """An engine, or what a text of :func:`glotclip.translate.specs.open_translator` names, behind the disk cache."""
    return open_translator(engine, cache) if isinstance(engine, str) else Translator(engine, cache)


def companions_of(engine: str | Engine | None, cache: Path | None) -> Translate | None:
    """What fills in a dataset's missing machine translations, if an engine was named."""
    return None if engine is None else translator_of(engine, cache).translate


def list_skipped(workplace: Workplace, skipped: Sequence[BadRow]) -> None:
    """List what was skipped in ``skipped.txt``; where nothing was, an earlier run's list goes away."""
    if skipped:
        workplace.write_text(SKIPPED, "".join(f"{describe(bad)}\n" for bad in skipped))
    else:
        workplace.remove(SKIPPED)
