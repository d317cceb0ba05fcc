"""What loading, teaching and evaluating have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glotclip.data.dataset import Dataset, Reading, open_dataset
from glotclip.data.features import FeatureCache, Features
from glotclip.data.schema import BadRow, describe
from glotclip.data.view import Translate
from glotclip.errors import ConfigError
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import write_text
from glotclip.translate.cache import Translator
from glotclip.translate.specs import open_translator

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


def translator_of(engine: str | Engine, cache: Path | None) -> Translator:
    """An engine, or what a text of :func:`glotclip.translate.specs.open_translator` names, behind the disk cache."""
    return open_translator(engine, cache) if isinstance(engine, str) else Translator(engine, cache)


def companions_of(engine: str | Engine | None, cache: Path | None) -> Translate | None:
    """What fills in a dataset's missing machine translations, if an engine was named."""
    return None if engine is None else translator_of(engine, cache).translate


def opened(data: str | Path | Dataset, reading: Reading) -> Dataset:
    """Open a dataset by its name or path; one that is open already is taken as it is.

    Raises:
        ConfigError: if it is open already and it is said how to read it.
    """
    if not isinstance(data, Dataset):
        return open_dataset(data, **reading)
    if reading:
        raise ConfigError(
            f"{', '.join(reading)} cannot be set for a dataset that is open already",
            hint="give them to glotclip.data.dataset.open_dataset",
        )
    return data


def list_skipped(folder: Path, skipped: Sequence[BadRow], notes: Sequence[str] = ()) -> None:
    """List what was skipped, and what else was noted of the data, in ``skipped.txt``.

    Where there is nothing to list, an earlier run's list goes away.
    """
    path = folder / "skipped.txt"
    path.unlink(missing_ok=True)
    lines = [*(f"note: {note}" for note in notes), *(describe(bad) for bad in skipped)]
    if lines:
        write_text(path, "".join(f"{line}\n" for line in lines))
