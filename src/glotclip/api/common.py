"""What loading, teaching and evaluating have in common."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glotclip.api.progress import Progress, silent
from glotclip.data.dataset import Dataset
from glotclip.data.features import FeatureCache, Features
from glotclip.data.mixture import Sources, open_data
from glotclip.data.reading import Reading
from glotclip.data.schema import SkippedItem, describe
from glotclip.data.view import Translate
from glotclip.errors import TruncationWarning
from glotclip.models.windows import Long
from glotclip.ownership import Workplace
from glotclip.packs.polyglot import Polyglot
from glotclip.translate.translator import translator_of

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark
    from glotclip.evaluation.retrieval import TextEncoder
    from glotclip.translate.engine import Engine

ENGLISH, SKIPPED = "en", "skipped.txt"


@dataclass(frozen=True)
class PolyglotEncoder:
    """A polyglot as evaluation sees it.

    Attributes:
        polyglot: the model.
        precision: of the computation.
        long: what becomes of texts longer than the context.
        seen: by language, how many texts were encoded and how many of them cut.
    """

    polyglot: Polyglot
    precision: str = "fp32"
    long: Long = "cut"
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def encode_text(self, texts: Sequence[str], lang: str) -> np.ndarray[Any, Any]:
        """Normalised features (M, E) of texts in one language."""
        encoded, cut = self.polyglot.encode_counted(texts, lang, precision=self.precision, long=self.long)
        texts_before, cut_before = self.seen.get(lang, (0, 0))
        self.seen[lang] = (texts_before + len(texts), cut_before + cut)
        features: np.ndarray[Any, Any] = encoded.cpu().numpy()
        return features

    def warn_of_cut(self) -> None:
        """Say once how many of all texts encoded so far were cut."""
        total, cut = (sum(each) for each in zip(*self.seen.values(), strict=True)) if self.seen else (0, 0)
        if cut:
            codes = [code for code, (_, some) in self.seen.items() if some]
            limit, hint = self.polyglot.context_length(codes), "long='mean' (--long mean) reads them whole"
            what = f"texts ({', '.join(codes)})"
            warnings.warn(TruncationWarning(cut, total, limit, what=what, hint=hint), stacklevel=3)


@dataclass(frozen=True)
class TranslatingEncoder:
    """Encodes texts as the English that an engine makes of them: the practical rival of every multilingual model.

    Attributes:
        engine: translates into English, best behind a cache.
        encoder: encodes English.
    """

    engine: Engine
    encoder: TextEncoder

    def encode_text(self, texts: Sequence[str], lang: str) -> Any:
        """Features (M, E); English texts, of any region, are encoded as they are."""
        if lang.split("-")[0] != ENGLISH:
            texts = self.engine.translate(texts, lang, ENGLISH)
        return self.encoder.encode_text(texts, ENGLISH)

    @property
    def note(self) -> str:
        """What a protocol says of the translation."""
        return (
            f"texts not in English are translated into it by {self.engine.name} {self.engine.version} and encoded so"
        )


def gallery_features(
    polyglot: Polyglot, benchmark: Benchmark, cache: Path | None = None, progress: Progress = silent
) -> Features:
    """Features of a benchmark's images or videos, from the cache or computed into it."""
    store = FeatureCache(polyglot.base.fingerprint, cache)
    load_pixels, encode = polyglot.base.preprocess.load, polyglot.image_features
    say = partial(progress, f"{benchmark.medium}s")
    if benchmark.sampling is not None:
        return store.videos(benchmark.images, load_pixels, encode, sampling=benchmark.sampling, progress=say)
    return store.images(benchmark.images, load_pixels, encode, progress=say)


def translate_with(engine: str | Engine | None, cache: Path | None) -> Translate | None:
    """What fills in a dataset's missing machine translations, if an engine was named."""
    return None if engine is None else translator_of(engine, cache).translate


def opened(data: Sources, reading: Reading) -> Dataset:
    """Open a dataset by its name or path, or several as a mixture; one that is open already is taken as it is.

    Raises:
        ConfigError: if it is open already and it is said how to read it.
    """
    return open_data(data, **reading)


def list_skipped(workplace: Workplace, skipped: Sequence[SkippedItem], notes: Sequence[str] = ()) -> None:
    """List what was skipped, and what else was noted of the data, in ``skipped.txt``.

    Where there is nothing to list, an earlier run's list goes away.
    """
    if text := skipped_text(skipped, notes):
        workplace.write_text(SKIPPED, text)
    else:
        workplace.remove(SKIPPED)


def skipped_text(skipped: Sequence[SkippedItem], notes: Sequence[str] = ()) -> str:
    """What was noted of the data and what was skipped, a line each."""
    lines = [*(f"note: {note}" for note in notes), *(describe(item) for item in skipped)]
    return "".join(f"{line}\n" for line in lines)
