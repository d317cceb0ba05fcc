"""The rivals of a model: what else a user could do with a query in the language, scored on the same queries.

A rival is written ``KIND`` or ``KIND:WHAT``, several with commas between them:

- ``dictionary:DATA``: the query is looked up in the pairs (text, English) of some data, and asked in English; of
  several translations the features are averaged, the k-th with a weight of 1/k. Without ``:DATA``: the pairs that the
  model was taught with.
- ``translate:ENGINE``: a translation engine turns the query into English (:mod:`glotclip.translate.translator`).
- ``base``: the base as it is, untrained in the language; ``base:MODEL``: another model, such as a multilingual one,
  with its own picture of the images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import regex  # type: ignore[import-untyped]

from glotclip.api.bases import load
from glotclip.api.common import ENGLISH, PolyglotEncoder, TranslatingEncoder, gallery_features
from glotclip.api.progress import Progress, silent
from glotclip.config import check_names
from glotclip.data.dataset import Dataset, open_dataset, recognised
from glotclip.data.dictionary import Dictionary, mean_of_readings
from glotclip.data.schema import Row, describe
from glotclip.data.serving import servers
from glotclip.errors import ConfigError, DataError
from glotclip.evaluation import retrieval
from glotclip.evaluation.taught import TaughtWords
from glotclip.languages import resolve
from glotclip.packs.polyglot import Polyglot
from glotclip.scores import DEFAULT_PROTOCOL
from glotclip.translate.translator import translator_of

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark
    from glotclip.data.features import Features
    from glotclip.evaluation.retrieval import TextEncoder

KINDS = ("dictionary", "translate", "base")
Data = str | Path | Dataset
_BETWEEN = regex.compile(rf"\s*,\s*(?=(?:{'|'.join(KINDS)})\s*(?::|,|$))")


@dataclass(frozen=True)
class Rival:
    """One rival as a user names it.

    Attributes:
        kind: one of :data:`KINDS`.
        what: the data, the engine or the other model; empty: the model's own.
    """

    kind: str
    what: str = ""

    def __str__(self) -> str:
        """As it is written, which is what results call it."""
        return f"{self.kind}:{self.what}" if self.what else self.kind


def rivals_of(written: str | Sequence[str]) -> list[Rival]:
    """Read the names of rivals, each ``KIND`` or ``KIND:WHAT``.

    Raises:
        ConfigError: for an unknown kind ("did you mean"), one named twice, or one that needs to say what.
    """
    texts = [written] if isinstance(written, str) else list(written)
    names = [name.strip() for text in texts for name in _BETWEEN.split(text) if name.strip()]
    found: list[Rival] = []
    for name in names:
        kind, _, what = name.partition(":")
        check_names([kind.strip()], KINDS, kind="rival")
        rival = Rival(kind.strip(), what.strip())
        if rival.kind == "translate" and not rival.what:
            raise ConfigError("the rival 'translate' needs an engine", hint="e.g. --rivals translate:apertium")
        if rival in found:
            raise ConfigError(f"the rival {str(rival)!r} is named twice", hint="name each rival once")
        found.append(rival)
    return found


@dataclass(frozen=True)
class DictionaryEncoder:
    """Encodes texts as the English that dictionaries have for them.

    Attributes:
        dictionaries: by language.
        encoder: encodes English.
    """

    dictionaries: Mapping[str, Dictionary]
    encoder: TextEncoder

    def encode_text(self, texts: Sequence[str], lang: str) -> np.ndarray[Any, Any]:
        """Features (M, E), each the weighted mean of those of the text's translations."""
        readings = [self.dictionaries[lang].translations(text) for text in texts]
        encoded = np.asarray(self.encoder.encode_text([each for some in readings for each in some], ENGLISH))
        return mean_of_readings(encoded, [len(some) for some in readings])


@dataclass(frozen=True)
class UntaughtEncoder:
    """Encodes texts in any language with a model that may not know it: then as if they were in its first language.

    Attributes:
        encoder: encodes what the model knows.
        languages: those it knows.
    """

    encoder: TextEncoder
    languages: Sequence[str]

    def encode_text(self, texts: Sequence[str], lang: str) -> Any:
        """Features (M, E)."""
        return self.encoder.encode_text(texts, resolve(lang, self.languages, near=True) or self.languages[0])


@dataclass
class Contest:
    """A benchmark that a model was scored on, and how, for its rivals to be scored alike.

    Attributes:
        polyglot: the model.
        benchmark: with its texts divided.
        features: of its images, under the model's base.
        codes: the languages that were scored.
        english: encodes English as the model does.
        training: the rows that the languages were taught with, where they are at hand.
        precision: of the computation.
        draws: of the bootstrap.
        protocol: how ranks are counted.
        cache: root of the caches.
        progress: called with (what, done, total).
        notes: what was met on the way that a reader should know.
    """

    polyglot: Polyglot
    benchmark: Benchmark
    features: Features
    codes: Sequence[str]
    english: TextEncoder
    training: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    precision: str = "fp32"
    draws: int = 0
    protocol: str = DEFAULT_PROTOCOL
    cache: Path | None = None
    progress: Progress = silent
    notes: list[str] = field(default_factory=list)

    def scores(self, rivals: Sequence[Rival]) -> dict[str, Any]:
        """By rival, ``{"model": what it is, "languages": {code: scores}}``; also English, if it was not asked for."""
        found: dict[str, Any] = {}
        if not any(map(_is_english, self.codes)) and self.benchmark.captions.get(ENGLISH):
            found["English"] = self._scored(f"{self.polyglot.source} in English", self.english, [ENGLISH])
        for rival in rivals:
            found[str(rival)] = getattr(self, f"_{rival.kind}")(rival.what)
        return found

    def _dictionary(self, what: str) -> dict[str, Any]:
        codes = self._foreign()
        rows = training_rows([what], codes, self.notes.append) if what else self.training
        if missing := [code for code in codes if not rows.get(code)]:
            said = f"{what} has no pairs in" if what else "no training data is named, so there are no pairs in"
            raise DataError(
                f"{said} {', '.join(missing)}",
                hint="name data with texts and their English: --rivals dictionary:DATA, or --training-data DATA",
            )
        pairs = {code: [(row.text, row.english) for row in rows[code] if row.english] for code in codes}
        if missing := [code for code in codes if not pairs[code]]:
            raise DataError(
                f"the texts of {what or 'the training data'} in {', '.join(missing)} have no English counterpart",
                hint="a dictionary needs columns text and english",
            )
        books = {code: Dictionary(pairs[code]) for code in codes}
        sizes = ", ".join(f"{code} {len(book):,}" for code, book in books.items())
        return self._scored(
            f"{what or 'the training data'} as dictionary ({sizes})", DictionaryEncoder(books, self.english), codes
        )

    def _translate(self, what: str) -> dict[str, Any]:
        encoder = TranslatingEncoder(translator_of(what, self.cache), self.english)
        return self._scored(encoder.note, encoder, self._foreign())

    def _base(self, what: str) -> dict[str, Any]:
        other = load(what, device=self.polyglot.base.device.type) if what else Polyglot(self.polyglot.base)
        encoder = UntaughtEncoder(PolyglotEncoder(other, self.precision), other.languages)
        features = gallery_features(other, self.benchmark, self.cache, self.progress) if what else self.features
        return self._scored(f"{what or self.polyglot.source} as it is", encoder, self.codes, features)

    def _foreign(self) -> list[str]:
        codes = [code for code in self.codes if not _is_english(code)]
        if not codes:
            raise ConfigError("a translation into English has no rival in English", hint="name another language")
        return codes

    def _scored(
        self, model: str, encoder: TextEncoder, codes: Sequence[str], features: Features | None = None
    ) -> dict[str, Any]:
        of = features or self.features
        result = retrieval.evaluate(
            encoder, self.benchmark, codes, image_features=of.array, image_rows=of.rows, model=model,
            draws=self.draws, protocol=self.protocol,
        )  # fmt: skip
        return {"model": model, "languages": result["languages"]}


def training_rows(data: Sequence[Data], codes: Sequence[str], say: Callable[[str], object]) -> dict[str, list[Row]]:
    """The training rows of each language that some of the data has; several data are put together.

    A caption file without a column for the language is taken to be in the one language that is asked for.

    Args:
        data: opened or named.
        codes: the languages.
        say: told what a reader should know: rows that cannot be used, languages without texts.
    """
    found: dict[str, list[Row]] = {}
    for each in data:
        dataset = each if isinstance(each, Dataset) else _opened(each, codes)
        have = list(servers(codes, dataset.languages()))
        corpus = dataset.corpus(have) if have else None
        for row in corpus.rows if corpus else ():
            if row.split == "train" and row.lang in have:
                found.setdefault(row.lang, []).append(row)
        if corpus and corpus.skipped:
            count, first = len(corpus.skipped), describe(corpus.skipped[0])
            say(f"{count:,} rows of {dataset.name} are not used, the first since {first}")
    missing = [code for code in codes if code not in found and not _is_english(code)]
    if data and missing:
        names = ", ".join(each.name if isinstance(each, Dataset) else str(each) for each in data)
        say(f"{names} has no training texts in {', '.join(missing)}")
    return found


def taught_words(rows: Mapping[str, Sequence[Row]]) -> dict[str, TaughtWords]:
    """The words of each language's training rows."""
    return {code: TaughtWords.of(row.text for row in some) for code, some in rows.items()}


def _opened(data: str | Path, codes: Sequence[str]) -> Dataset:
    kind = recognised(data)
    only = [code for code in codes if not _is_english(code)]
    if kind is not None and "default_lang" not in kind.no_use_for and len(only) == 1:
        return open_dataset(data, default_lang=only[0])
    return open_dataset(data)


def _is_english(code: str) -> bool:
    return code.split("-")[0] == ENGLISH
