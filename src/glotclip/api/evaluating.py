"""Scoring a model, once or again and again while it learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glotclip.api.bases import load
from glotclip.api.common import (
    ENGLISH,
    PolyglotEncoder,
    Progress,
    companions_of,
    gallery_features,
    silent,
    translator_of,
)
from glotclip.data.dataset import Dataset, open_dataset
from glotclip.data.schema import describe
from glotclip.data.view import View, ViewedDataset, validation
from glotclip.errors import DataError
from glotclip.evaluation import retrieval
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.scorer import Scorer
from glotclip.languages import normalise_all
from glotclip.models.device import choose_precision
from glotclip.packs.folder import Base
from glotclip.packs.polyglot import Polyglot
from glotclip.training.teaching import Validate
from glotclip.translate.queries import TranslatedQueries

if TYPE_CHECKING:
    from glotclip.api.extending import ExtendPlan
    from glotclip.data.benchmark import Benchmark
    from glotclip.translate.engine import Engine


def evaluate(
    model: Polyglot | str | Path,
    benchmark: Benchmark | Dataset | str | Path = "emoji",
    langs: Sequence[str] | None = None,
    *,
    device: str = "auto",
    base: Base | None = None,
    precision: str = "fp32",
    translate: Engine | str | None = None,
    companions: Engine | str | None = None,
    cache: Path | None = None,
    progress: Progress = silent,
    intervals: int = 1000,
) -> dict[str, Any]:
    """Score retrieval in both directions, language by language; see :func:`glotclip.evaluation.retrieval.evaluate`.

    Args:
        model: a loaded model, or what :func:`load` takes.
        benchmark: a benchmark, ``emoji``, or a dataset, caption file or folder whose rows of split "test" are used.
        langs: languages; by default those that both model and benchmark have.
        device: where to compute.
        base: as :func:`load` takes it.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``auto``.
        translate: the practical rival: an engine, or its name as in :mod:`glotclip.translate.specs`, that translates
            texts into English before they are encoded as English; ``langs`` are then by default the benchmark's.
        companions: for languages that were learnt with ``text=to-english``: who translates their texts, where the
            data does not bring translations.
        cache: root of the caches of features and translations.
        progress: called with (what, done, total).
        intervals: bootstrap draws; 0 leaves the intervals out.

    Returns:
        The self-describing result; ``languages.<code>.text_to_image."r@1"`` is a score in percent. Besides what
        :func:`glotclip.evaluation.retrieval.evaluate` gives, ``skipped`` lists what was left out of the benchmark
        or was odd, and why.
    """
    polyglot = model if isinstance(model, Polyglot) else load(model, device=device, base=base)
    encoder: retrieval.TextEncoder = PolyglotEncoder(polyglot, choose_precision(precision, polyglot.base.device))
    name, rival = polyglot.source, None
    if translate is not None:
        engine = translator_of(translate, cache)
        encoder = rival = TranslatedQueries(engine, partial(encoder.encode_text, lang=ENGLISH))
        name = f"{name} after translation by {engine.name}"
    if langs is not None:
        langs = normalise_all(langs)
    if isinstance(benchmark, str | Path):
        benchmark = open_dataset(benchmark)
    if isinstance(benchmark, Dataset):
        codes = langs or [code for code in benchmark.languages() if rival or code in polyglot.languages]
        benchmark = _asked(benchmark, codes, polyglot, companions, cache, rival is not None)
    known = benchmark.languages if rival else polyglot.languages
    codes = langs or [code for code in known if code in benchmark.captions]
    features = gallery_features(polyglot, benchmark, cache, progress)
    result = retrieval.evaluate(
        encoder,
        replace(benchmark, protocol=rival.protocol(benchmark.protocol)) if rival else benchmark,
        codes,
        image_features=features.array,
        image_rows=features.rows,
        model=name,
        interval=retrieval.Interval(draws=intervals),
    )
    left_out = (*benchmark.bad, *features.bad, *features.odd)
    return {**result, "skipped": [describe(each) for each in left_out]}


def _asked(
    dataset: Dataset,
    codes: Sequence[str],
    polyglot: Polyglot,
    companions: Engine | str | None,
    cache: Path | None,
    rival: bool,
) -> Benchmark:
    """A dataset's benchmark, in which each language is asked with the kind of text that it was taught with."""
    translated = [code for code in codes if polyglot.reads_translations(code) and not rival]
    plain = dataset.benchmark(codes)
    if not translated:
        return plain
    viewed = ViewedDataset(dataset, View(text="to-english"), companions_of(companions, cache)).benchmark(translated)
    return replace(plain, captions={**plain.captions, **viewed.captions}, protocol=viewed.protocol)


def validator(plan: ExtendPlan, progress: Progress) -> Validate:
    """Score a lesson on the data's rows of split "validation": mean recall over its languages.

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
        return float(result["average"]["mean_recall"])

    return score


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
