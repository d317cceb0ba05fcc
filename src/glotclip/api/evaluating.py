"""Scoring a model, once or again and again while it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from glotclip.api.bases import load
from glotclip.api.common import (
    ENGLISH,
    PolyglotEncoder,
    TranslatingEncoder,
    gallery_features,
    opened,
    translate_with,
)
from glotclip.api.progress import Progress, silent
from glotclip.api.rivals import Contest, Data, rivals_of, taught_words, training_rows
from glotclip.data.dataset import Dataset, open_dataset
from glotclip.data.reading import Reading
from glotclip.data.schema import describe
from glotclip.data.serving import servers
from glotclip.data.view import Translate, View, ViewedDataset, validation
from glotclip.errors import ConfigError, DataError
from glotclip.evaluation import retrieval
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.scorer import Scorer
from glotclip.evaluation.taught import TaughtWords, divided
from glotclip.languages import check_installed, normalise_all, resolve
from glotclip.models.device import choose_precision
from glotclip.models.windows import Long, check_long
from glotclip.packs.folder import Base
from glotclip.packs.polyglot import Polyglot
from glotclip.scores import DEFAULT_PROTOCOL, check_protocol, headline
from glotclip.translate.translator import translator_of

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark
    from glotclip.training.callbacks import Validate
    from glotclip.training.extension import Extension
    from glotclip.translate.engine import Engine

WINDOWS = "texts longer than the context are read in windows, whose features are averaged"


def evaluate(
    model: Polyglot | str | Path,
    benchmark: Benchmark | Dataset | str | Path = "emoji",
    langs: str | Sequence[str] | None = None,
    *,
    device: str = "auto",
    base: Base | None = None,
    precision: str = "fp32",
    long: Long = "cut",
    translate: Engine | str | None = None,
    translator: Engine | str | None = None,
    cache: Path | None = None,
    rivals: str | Sequence[str] = (),
    training_data: Data | Sequence[Data] = (),
    progress: Progress = silent,
    intervals: int = 1000,
    protocol: str = DEFAULT_PROTOCOL,
    **reading: Unpack[Reading],
) -> dict[str, Any]:
    """Score retrieval in both directions, language by language, as :mod:`glotclip.evaluation.retrieval` describes.

    Args:
        model: a loaded model, or what :func:`load` takes.
        benchmark: a benchmark, ``emoji``, or a dataset, caption file or folder whose rows of split "test" are used.
        langs: codes; by default those that both model and benchmark have.
        device: where to compute.
        base: as :func:`load` takes it.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``auto``.
        long: what becomes of texts longer than the context, as :meth:`Polyglot.encode_text` takes it.
        translate: an engine or its name, which translates texts into English before they are encoded as English.
        translator: translates texts in languages learnt with ``text=to-english``, where the data does not bring it.
        cache: root of the caches of features and translations.
        rivals: what else is scored on the same queries, as :mod:`glotclip.api.rivals` writes it: ``base``,
            ``base:photo-e5``, ``dictionary:DATA``, ``translate:ENGINE``.
        training_data: what the languages were taught with: data, or several. Texts are then divided into known and
            unknown ones (:mod:`glotclip.evaluation.taught`).
        progress: called with (what, done, total).
        intervals: bootstrap draws; 0 leaves the intervals out.
        protocol: how image → text is ranked (:data:`glotclip.scores.PROTOCOLS`).
        reading: how data of one's own is read; see :class:`glotclip.data.reading.Reading`.

    Returns:
        The result of :func:`glotclip.evaluation.retrieval.evaluate`, and ``truncated`` (by language, how many texts
        were cut), ``skipped`` (what was left out of the benchmark, and why) and ``notes`` on the data; where rivals
        are asked for, ``rivals``: what each one is and its scores by language.

    Raises:
        ConfigError: for an unknown rival or protocol.
        DataError: for a dictionary without texts in a language.
    """
    check_protocol(protocol)  # before a model is loaded
    named = rivals_of(rivals)
    polyglot = model if isinstance(model, Polyglot) else load(model, device=device, base=base)
    own = PolyglotEncoder(polyglot, choose_precision(precision, polyglot.base.device), check_long(long))
    rival = None if translate is None else TranslatingEncoder(translator_of(translate, cache), own)
    translate_learned = partial(translate_with, translator, cache)  # opened only if there is such a language
    chosen, codes, notes = _questions(benchmark, langs, polyglot, rival, translate_learned, reading, bool(named))
    wanted_data = [training_data] if isinstance(training_data, str | Path | Dataset) else list(training_data)
    told = list(notes)
    training = training_rows(wanted_data, codes, told.append)
    chosen = divided(chosen, taught_words(training))
    features = gallery_features(polyglot, chosen, cache, progress)
    name = f"{polyglot.source} after translation by {rival.engine.name}" if rival else polyglot.source
    result = retrieval.evaluate(
        rival or own, chosen, codes, image_features=features.array, image_rows=features.rows, model=name,
        draws=intervals, protocol=protocol,
    )  # fmt: skip
    if named:
        contest = Contest(
            polyglot, chosen, features, codes, own, training, own.precision, intervals, protocol, cache, progress
        )
        result["rivals"] = contest.scores(named)
        told += contest.notes
    own.warn_of_cut()
    result["protocol"] = _joined(result["protocol"], WINDOWS if long == "mean" else "")
    truncated = {code: cut for code, (_, cut) in own.seen.items() if cut}
    skipped = [describe(each) for each in (*chosen.skipped, *features.skipped, *features.warnings)]
    return {**result, "truncated": truncated, "skipped": skipped, "notes": told}


def _questions(
    benchmark: Benchmark | Dataset | str | Path,
    langs: str | Sequence[str] | None,
    polyglot: Polyglot,
    rival: TranslatingEncoder | None,
    open_translator: Callable[[], Translate | None],
    reading: Reading,
    with_english: bool,
) -> tuple[Benchmark, list[str], tuple[str, ...]]:
    """The benchmark, its languages that are scored, and notes on the data."""
    wanted, spoken = None if langs is None else normalise_all(langs), None if rival else polyglot.languages
    notes: tuple[str, ...] = ()
    codes: list[str] | None = None
    if isinstance(benchmark, str | Path | Dataset):
        dataset = opened(benchmark, reading)
        have = dataset.languages()
        codes = wanted or (have if spoken is None else list(servers(spoken, have)))
        notes = dataset.notes(codes)
        benchmark = dataset.benchmark([*codes, *([ENGLISH] if with_english and ENGLISH not in codes else [])])
        translated = [code for code in codes if polyglot.reads_translations(code) and not rival]
        if translated:  # each language is asked with the kind of text that it was taught with
            viewed = ViewedDataset(dataset, View(text="to-english"), open_translator()).benchmark(translated)
            captions = {**benchmark.captions, **viewed.captions}
            benchmark = replace(benchmark, captions=captions, protocol=viewed.protocol)
    elif reading:
        raise ConfigError(
            f"{', '.join(reading)} cannot be set for a benchmark that is made already",
            hint="name the data, or give them to glotclip.data.dataset.open_dataset",
        )
    if rival:
        benchmark = replace(benchmark, protocol=_joined(benchmark.protocol, rival.note))
    return benchmark, _scored(wanted or codes, list(benchmark.captions), spoken), notes


def _scored(langs: Sequence[str] | None, there: Sequence[str], spoken: Sequence[str] | None) -> list[str]:
    """The benchmark's languages that are scored: those asked for, or all that the model speaks, each once.

    Args:
        langs: the languages asked for; one that the benchmark lacks stays as it is, and is refused where it is read.
        there: the benchmark's.
        spoken: the model's; None: all.
    """
    if langs is not None:
        wanted = [check_installed(code, there) if resolve(code, there) else code for code in langs]
    elif spoken is None:
        wanted = list(there)
    else:
        wanted = [found for code in spoken if (found := resolve(code, there)) is not None]
    return list(dict.fromkeys(wanted))


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def validator(extension: Extension, progress: Progress = silent) -> Validate:
    """Score a task on the data's rows of split "validation", by ``select_by``, on average over its languages.

    Raises:
        DataError: if there are no such rows with images.
    """
    chosen = validation(extension.dataset, list(extension.curriculum.languages))
    if chosen is None:
        raise DataError(
            f"{extension.dataset.name} has no images in a split validation, which evaluate_every asks for",
            hint="mark some rows with split=validation, or use --set evaluate_every=0",
        )
    features = gallery_features(extension.start, chosen, extension.cache, progress)

    def score(encoder: retrieval.TextEncoder, langs: Sequence[str]) -> float:
        codes = [code for code in langs if code in chosen.captions]
        result = retrieval.evaluate(
            encoder, chosen, codes, image_features=features.array, image_rows=features.rows, draws=0
        )
        return selection_score(result["average"], extension.curriculum.train.select_by)

    return score


def selection_score(scores: Mapping[str, Any], select_by: str) -> float:
    """What a checkpoint is chosen by, from the scores of both directions: ``mean_recall`` or ``mean_r1``."""
    return headline(scores) if select_by == "mean_r1" else float(scores["mean_recall"])


def evaluator(
    extension: Extension,
    benchmark: bool | str | Path | Benchmark = True,
    progress: Progress = silent,
    *,
    intervals: int = 0,
    beside: Sequence[str] | None = None,
) -> Scorer | None:
    """What scores the languages of a run on one benchmark; None if there is nothing to score on.

    Args:
        extension: the run.
        benchmark: as :func:`extend` takes it.
        progress: called with (what, done, total) while images are encoded, which happens once.
        intervals: bootstrap draws of the scores after the last task; 0 leaves the intervals out.
        beside: languages scored beside those of the run; by default all that the model knows, of which a multilingual
            base has a hundred.
    """
    base, learnt = extension.start.base, extension.curriculum.languages
    known = (*extension.start.languages, *base.languages) if beside is None else beside
    wanted = list(dict.fromkeys((*known, *learnt)))
    if isinstance(benchmark, bool):
        chosen = extension.dataset.held_out(wanted) if benchmark else None
    elif isinstance(benchmark, str | Path):
        other: Dataset = open_dataset(benchmark)
        if isinstance(extension.dataset, ViewedDataset):  # what is asked is the kind of text that was taught
            other = extension.dataset.view_of(other)
        chosen = other.held_out(wanted)
    else:
        chosen = benchmark
    if chosen is None:
        return None
    words = {code: TaughtWords.of(each.written or each.texts) for code, each in extension.captions.items()}
    chosen = divided(chosen, {code: some for code, some in words.items() if code in chosen.captions})
    features = gallery_features(extension.start, chosen, extension.cache, progress)
    encoder = partial(PolyglotEncoder, precision=extension.curriculum.precision)
    return Scorer(chosen, features, encoder, draws=intervals, final=learnt)


def accuracy_matrix(evaluations: Mapping[str, Any], subset: str | None = None) -> AccuracyMatrix | None:
    """Headline score of every language after every task, from what the record of a run holds."""
    return AccuracyMatrix.of(evaluations, subset=subset) if evaluations else None
