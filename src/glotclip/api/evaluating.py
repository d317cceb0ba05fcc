"""Scoring a model, once or again and again while it learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Unpack

from glotclip.api.bases import load
from glotclip.api.common import (
    ENGLISH,
    PolyglotEncoder,
    Progress,
    gallery_features,
    opened,
    silent,
    translate_with,
    translator_of,
)
from glotclip.data.dataset import Dataset, open_dataset
from glotclip.data.reading import Reading
from glotclip.data.schema import describe
from glotclip.data.serving import servers
from glotclip.data.view import View, ViewedDataset, validation
from glotclip.errors import ConfigError, DataError
from glotclip.evaluation import retrieval
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.scorer import Scorer
from glotclip.languages import check_installed, normalise_all, resolve
from glotclip.models.device import choose_precision
from glotclip.packs.folder import Base
from glotclip.packs.polyglot import Long, Polyglot
from glotclip.training.teaching import Validate
from glotclip.translate.queries import TranslatedQueries

if TYPE_CHECKING:
    from glotclip.api.extending import ExtendPlan
    from glotclip.data.benchmark import Benchmark
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
    progress: Progress = silent,
    intervals: int = 1000,
    protocol: str = retrieval.DEFAULT_PROTOCOL,
    **reading: Unpack[Reading],
) -> dict[str, Any]:
    """Score retrieval in both directions, language by language; see :func:`glotclip.evaluation.retrieval.evaluate`.

    Args:
        model: a loaded model, or what :func:`load` takes.
        benchmark: a benchmark, ``emoji``, or a dataset, caption file or folder whose rows of split "test" are used.
        langs: languages, a list of codes or a text with one or several; by default those that both model and
            benchmark have.
        device: where to compute.
        base: as :func:`load` takes it.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``auto``.
        long: what becomes of texts longer than the context, as :meth:`Polyglot.encode_text` takes it; how many were
            cut is said once and is in the result under ``truncated``, by language.
        translate: the practical rival: an engine, or its name as in :mod:`glotclip.translate.specs`, that translates
            texts into English before they are encoded as English; ``langs`` are then by default the benchmark's.
        companions: for languages that were learnt with ``text=to-english``: who translates their texts, where the
            data does not bring translations.
        cache: root of the caches of features and translations.
        progress: called with (what, done, total).
        intervals: bootstrap draws; 0 leaves the intervals out.
        protocol: how image → text is ranked: ``karpathy``, each caption by itself, or ``mla``, each image's captions
            as one (:data:`glotclip.evaluation.retrieval.PROTOCOLS`).
        reading: how data of one's own is read: ``images``, ``default_lang``, ``encoding``, ``max_skipped``,
            ``hold_out``; see :class:`glotclip.data.reading.Reading`.

    Returns:
        The self-describing result; ``languages.<code>.text_to_image."r@1"`` is a score in percent. Besides what
        :func:`glotclip.evaluation.retrieval.evaluate` gives, ``skipped`` lists what was left out of the benchmark
        or was odd, and why, and ``notes`` what else there is to know of the data, warnings included.
    """
    retrieval.check_protocol(protocol)  # before a model is loaded
    polyglot = model if isinstance(model, Polyglot) else load(model, device=device, base=base)
    own = PolyglotEncoder(polyglot, choose_precision(precision, polyglot.base.device), long)
    encoder: retrieval.TextEncoder = own
    name, rival = polyglot.source, None
    if translate is not None:
        engine = translator_of(translate, cache)
        encoder = rival = TranslatedQueries(engine, partial(encoder.encode_text, lang=ENGLISH))
        name = f"{name} after translation by {engine.name}"
    if langs is not None:
        langs = normalise_all(langs)
    notes: tuple[str, ...] = ()
    if isinstance(benchmark, str | Path | Dataset):
        benchmark = opened(benchmark, reading)
        codes = langs or _common(benchmark.languages(), None if rival else polyglot.languages)
        notes = benchmark.notes(codes)
        benchmark = _asked(benchmark, codes, polyglot, translator, cache, rival is not None)
    elif reading:
        raise ConfigError(
            f"{', '.join(reading)} cannot be set for a benchmark that is made already",
            hint="name the data, or give them to glotclip.data.dataset.open_dataset",
        )
    codes = _codes(langs, list(benchmark.captions), None if rival else polyglot.languages)
    features = gallery_features(polyglot, benchmark, cache, progress)
    result = retrieval.evaluate(
        encoder,
        replace(benchmark, protocol=rival.protocol(benchmark.protocol)) if rival else benchmark,
        codes,
        image_features=features.array,
        image_rows=features.rows,
        model=name,
        interval=retrieval.Interval(draws=intervals),
        protocol=protocol,
    )
    own.warn_of_cut()
    if long == "mean":
        result["protocol"] = f"{result['protocol']}; {WINDOWS}" if result["protocol"] else WINDOWS
    truncated = {code: cut for code, (_, cut) in own.seen.items() if cut}
    left_out = (*benchmark.skipped, *features.skipped, *features.warnings)
    skipped = [describe(each) for each in left_out]
    return {**result, "truncated": truncated, "skipped": skipped, "notes": list(notes)}


def _common(have: Sequence[str], known: Sequence[str] | None) -> list[str]:
    """The languages that there are captions in and a model knows (``None``: all), as the model calls them."""
    if known is None:
        return list(have)
    exact = [code for code in have if code in known]
    return [*exact, *(code for code in servers(known, have) if code not in exact)]


def _codes(langs: Sequence[str] | None, there: Sequence[str], spoken: Sequence[str] | None) -> list[str]:
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


def _asked(
    dataset: Dataset,
    codes: Sequence[str],
    polyglot: Polyglot,
    translator: Engine | str | None,
    cache: Path | None,
    rival: bool,
) -> Benchmark:
    """A dataset's benchmark, in which each language is asked with the kind of text that it was taught with."""
    translated = [code for code in codes if polyglot.reads_translations(code) and not rival]
    plain = dataset.benchmark(codes)
    if not translated:
        return plain
    viewed = ViewedDataset(dataset, View(text="to-english"), translate_with(translator, cache)).benchmark(translated)
    return replace(plain, captions={**plain.captions, **viewed.captions}, protocol=viewed.protocol)


def validator(plan: ExtendPlan, progress: Progress) -> Validate:
    """Score a lesson on the data's rows of split "validation", by ``select_by``, on average over its languages.

    Raises:
        DataError: if there are no such rows with pictures.
    """
    codes = list(plan.curriculum.languages)
    chosen = validation(plan.dataset, codes)
    if chosen is None:
        raise DataError(
            f"{plan.dataset.name} has no pictures in a split validation, which evaluate_every asks for",
            hint="mark some rows with split=validation, or use --set evaluate_every=0",
        )
    features = gallery_features(plan.polyglot, chosen, plan.cache, progress)

    def score(encoder: retrieval.TextEncoder, langs: Sequence[str]) -> float:
        result = retrieval.evaluate(
            encoder,
            chosen,
            [code for code in langs if code in chosen.captions],
            image_features=features.array,
            image_rows=features.rows,
            interval=retrieval.Interval(draws=0),
        )
        return selection_score(result["average"], plan.curriculum.train.select_by)

    return score


def selection_score(scores: Mapping[str, Any], select_by: str) -> float:
    """What a checkpoint is chosen by, from the scores of both directions: ``mean_recall`` or ``mean_r1``."""
    if select_by == "mean_r1":
        return float(mean([scores[direction]["r@1"] for direction in retrieval.DIRECTIONS]))
    return float(scores["mean_recall"])


def evaluator(
    plan: ExtendPlan,
    benchmark: bool | str | Path | Benchmark = True,
    progress: Progress = silent,
    *,
    intervals: int = 0,
) -> Scorer | None:
    """What scores the languages of a run on one benchmark; None if there is nothing to score on.

    Args:
        plan: of the run.
        benchmark: as :func:`extend` takes it.
        progress: called with (what, done, total) while pictures are encoded, which happens once.
        intervals: bootstrap draws of the scores after the last task; 0 leaves the intervals out.
    """
    base, learnt = plan.polyglot.base, plan.curriculum.languages
    wanted = list(dict.fromkeys((*plan.polyglot.languages, *base.languages, *learnt)))
    if isinstance(benchmark, bool):
        chosen = plan.dataset.held_out(wanted) if benchmark else None
    elif isinstance(benchmark, str | Path):
        other: Dataset = open_dataset(benchmark)
        if isinstance(plan.dataset, ViewedDataset):  # what is asked is the kind of text that was taught
            other = plan.dataset.view_of(other)
        chosen = other.held_out(wanted)
    else:
        chosen = benchmark
    if chosen is None:
        return None
    features = gallery_features(plan.polyglot, chosen, plan.cache, progress)
    encoder = partial(PolyglotEncoder, precision=plan.curriculum.precision)
    return Scorer(chosen, features, encoder, draws=intervals, final=learnt)


def accuracy_matrix(evaluations: Mapping[str, Any], subset: str | None = None) -> AccuracyMatrix | None:
    """Mean R@1 of both directions of every language after every task, as the record of a run holds it."""
    return AccuracyMatrix.of(evaluations, subset=subset) if evaluations else None
