"""Teaching a model languages: the run, checked and resolved, and its execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from glotclip.api.bases import load
from glotclip.api.common import ENGLISH, list_skipped, opened, translate_with
from glotclip.api.config import ExtendConfig, config_of, documented
from glotclip.api.evaluating import accuracy_matrix, evaluator, validator
from glotclip.api.progress import Progress, silent
from glotclip.config import check_names, read_recipe, settings_from
from glotclip.data.benchmark import Benchmark
from glotclip.data.dataset import Dataset
from glotclip.data.features import FeatureCache
from glotclip.data.mixture import names_of
from glotclip.data.schema import Corpus, SkippedItem
from glotclip.data.view import View, ViewedDataset
from glotclip.errors import ConfigError
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.scorer import Scorer
from glotclip.methods.method import Method, method_named
from glotclip.methods.objective import MethodSettings
from glotclip.models.device import choose_precision
from glotclip.models.dual_encoder import DualEncoder
from glotclip.packs.folder import PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.textforms import NONE
from glotclip.training.callbacks import Callbacks
from glotclip.training.captions import Captions, collect
from glotclip.training.curriculum import Curriculum
from glotclip.training.extension import Extension
from glotclip.training.gate import NOTHING_EVALUATED, Gate
from glotclip.training.interrupt import deferred
from glotclip.training.parallel import join_world
from glotclip.training.settings import TrainSettings


@dataclass(frozen=True)
class Extended:
    """What :func:`extend` made.

    Attributes:
        folder: the polyglot's folder.
        languages: those it now has.
        matrix: score of every language after every task (mean R@1 of both directions, percent), or None if
            nothing was evaluated.
        evaluations: the scores themselves: task → language → scores.
        skipped: rows and images that could not be used; also listed in ``skipped.txt``.
        notes: what else there is to know of the data, warnings included; likewise.
        gallery: what the scores are on, in a few words; empty if a callback of one's own evaluated, or nothing.
    """

    folder: Path
    languages: tuple[str, ...]
    matrix: AccuracyMatrix | None
    evaluations: Mapping[str, Any]
    skipped: tuple[SkippedItem, ...] = ()
    notes: tuple[str, ...] = ()
    gallery: str = ""

    def load(self) -> Polyglot:
        """Load the model that was made."""
        return load(self.folder)


def resolve_settings(
    method: Method,
    base: DualEncoder,
    recipe: str | Path | None,
    settings: Mapping[str, Any],
) -> tuple[MethodSettings, TrainSettings]:
    """Merge defaults, what the base recommends, a recipe and explicit settings; later ones win.

    Raises:
        ConfigError: for an unknown name ("did you mean") or a wrong value.
    """
    known = method.setting_names() | set(TrainSettings.model_fields)
    layers = [(f"the defaults of {method.name}", dict(method.defaults))]
    layers.append((f"the recommendations of {base.name}", dict(base.recommended.get(method.name, {}))))
    if recipe is not None:
        options = set(ExtendConfig.model_fields) - {"method"}
        values = {name: value for name, value in read_recipe(Path(recipe)).items() if name not in options}
        layers.append((f"the recipe {recipe}", values))
    layers.append(("the settings given", dict(settings)))
    merged: dict[str, Any] = {}
    for where, layer in layers:
        if (meant := layer.pop("method", method.name)) != method.name:
            raise ConfigError(f"{where} are for method {meant!r}", hint=f"use --method {meant}")
        check_names(layer, known, where=where)
        if "epochs" in layer:
            merged.pop("steps", None)  # which would win over epochs, wherever they come from
        merged.update(method.expanded(layer))  # layer by layer: a later shorthand wins over an earlier name
    of_loop = {name: value for name, value in merged.items() if name in TrainSettings.model_fields}
    of_method = {name: value for name, value in merged.items() if name not in TrainSettings.model_fields}
    where = "the settings"
    return settings_from(method.settings, of_method, where=where), settings_from(TrainSettings, of_loop, where=where)


def curriculum_of(base: DualEncoder, config: ExtendConfig) -> Curriculum:
    """Resolve what is learnt and how, before any data is opened.

    Raises:
        ConfigError: for settings that are unknown, wrong, or do not go together.
    """
    method = method_named(config.method)
    own, train = resolve_settings(method, base, config.recipe, config.settings)
    for module in method.modules(own):
        module.check_base(own, base)
    tasks = (config.langs,) if config.joint else tuple((code,) for code in config.langs)
    precision = choose_precision(train.precision, base.device)
    return Curriculum(method, own, train, tasks, precision, config.continue_learning)


def prepare_extension(config: ExtendConfig, progress: Progress = silent) -> Extension:
    """Check and resolve everything that :func:`extend` does before it trains; nothing is written.

    Args:
        config: what is asked for.
        progress: called with (what, done, total) while features are computed.
    """
    if not config.langs:
        raise ConfigError("no language was named", hint="name at least one, e.g. --lang de")
    folder = PolyglotFolder(config.out)
    _check_out(folder, config)
    model = config.model
    polyglot = model if isinstance(model, Polyglot) else load(model, device=config.device, base=config.base)
    curriculum = curriculum_of(polyglot.base, config)
    dataset = _viewed(opened(config.data, config.reading), curriculum, config)
    corpus = dataset.corpus(_read_from(dataset, curriculum))
    captions = {
        code: replace(each, facts={**each.facts, "sources": [asdict(source) for source in dataset.licences([code])]})
        for code, each in _captions(corpus, curriculum, polyglot.base, config.cache, progress).items()
    }
    unread = dict.fromkeys(item for each in captions.values() for item in each.skipped)
    told = dataset.notes(_read_from(dataset, curriculum))
    return Extension(
        folder,
        polyglot,
        captions,
        curriculum,
        dataset,
        skipped=(*corpus.skipped, *corpus.unused, *unread),
        notes=told or corpus.notes,
        cache=config.cache,
        world=join_world(),
    )


def _read_from(dataset: Dataset, curriculum: Curriculum) -> tuple[str, ...]:
    """The languages whose rows are read: those that are learnt, or English where it is all there is."""
    if curriculum.method_settings.learnt_texts != "english":
        return curriculum.languages
    have = dataset.languages()
    return tuple(code for code in curriculum.languages if code in have) or (ENGLISH,)


def _check_out(folder: PolyglotFolder, config: ExtendConfig) -> None:
    """Refuse a folder that is not glotclip's to write, before anything is computed.

    It may be the model's own, which then gains the languages.
    """
    model, data = config.model, config.data
    inputs: list[str | Path | None] = [*names_of(data)]
    if not isinstance(model, Polyglot):
        own = PolyglotFolder.is_one(model) and folder.path.exists() and folder.path.samefile(model)
        inputs += [] if own else [model]
    folder.check(inputs=inputs)


def _viewed(dataset: Dataset, curriculum: Curriculum, config: ExtendConfig) -> Dataset:
    """The dataset with the texts and shots that the settings ask for."""
    wanted, train = curriculum.method_settings, curriculum.train
    view = View(wanted.text, wanted.target_text, train.shots, train.shots_seed, train.train_share)
    if view == View():
        return dataset
    return ViewedDataset(dataset, view, translate_with(config.translator, config.cache))


def _captions(
    corpus: Corpus, curriculum: Curriculum, base: DualEncoder, cache: Path | None, progress: Progress
) -> dict[str, Captions]:
    """The training captions of every language, with the features that some loss needs."""
    store, wanted = FeatureCache(base.fingerprint, cache), curriculum.method_settings
    losses = [stage.objective for stage in curriculum.stages()]
    lessons = curriculum.seen(1) > 0  # without a step, rows begin with texts and stay so

    def target_form(text: str, code: str) -> str:
        """The form of an English counterpart, or of what was translated from it into the language."""
        if wanted.target_text == "from-english":
            return curriculum.text_form(code, base)(text, code)
        return text if wanted.text_form == NONE else base.text_form(text, ENGLISH)

    return {
        code: collect(
            corpus,
            code,
            base,
            store,
            with_images=lessons and any(loss.wants_images for loss in losses),
            with_target_features=(lessons or not wanted.reads_english)
            and any(loss.cross_lingual > 0 and not loss.encodes_targets for loss in losses),
            with_target_texts=any(loss.encodes_targets for loss in losses),
            with_english=wanted.reads_english,
            seen=curriculum.train.steps and curriculum.seen(1),
            form=partial(curriculum.text_form(code, base), lang=code),
            target_form=partial(target_form, code=code),
            learns=wanted.learnt_texts,
            progress=progress,
        )
        for code in curriculum.languages
    }


@documented(ExtendConfig)
def extend(
    model: str | Path | Polyglot,
    langs: str | Sequence[str],
    *,
    callbacks: Callbacks | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Extended:
    """Teach a model languages and write the result to a folder; run again after a kill, it goes on.

    Options are those of :class:`~glotclip.api.config.ExtendConfig`.

    Args:
        model: what :func:`load` takes; a folder made by an earlier ``extend`` gains the languages.
        langs: the languages, learnt one after another in this order: a list of codes, or a text with one or several.
        callbacks: what is told and asked; where ``evaluate`` is not given, ``benchmark`` is evaluated, and a signal
            stops the run as ``stop`` does.
        progress: called with (what, done, total) while features are computed.
        options: further keyword arguments are refused.

    Raises:
        GlotclipError: any of its kinds, each with what to do next; the folder is then as it was.
        KeyboardInterrupt: after Ctrl-C, with the state saved.
    """
    config = config_of(ExtendConfig, {"model": model, "langs": langs, **options})
    return run_extension(
        prepare_extension(config, progress),
        benchmark=config.benchmark,
        max_forgetting=config.max_forgetting,
        callbacks=callbacks,
        progress=progress,
    )


def run_extension(
    extension: Extension,
    *,
    benchmark: bool | str | Path | Benchmark = True,
    max_forgetting: float | None = None,
    callbacks: Callbacks | None = None,
    progress: Progress = silent,
) -> Extended:
    """Carry out what :func:`prepare_extension` gave; see :func:`extend`.

    Args:
        extension: the run.
        benchmark: what every language is evaluated on after every task.
        max_forgetting: points of R@1 (mean of both directions) that a language may lose from where it stood before
            the run, or when the run taught it. A task after which any has lost more is not installed.
        callbacks: what is told and asked.
        progress: called with (what, done, total).

    Raises:
        ForgettingError: if a task is refused; the folder is as before that task.
        ConfigError: for a gate without anything to measure.
    """
    callbacks = callbacks or Callbacks()
    if extension.curriculum.train.evaluate_every and callbacks.validate is None:
        callbacks = replace(callbacks, validate=validator(extension, progress))
    if benchmark is not False and callbacks.evaluate is None:
        callbacks = replace(callbacks, evaluate=evaluator(extension, benchmark, progress))
    gate = None if max_forgetting is None else Gate(max_forgetting)
    if gate is not None and callbacks.evaluate is None:
        why = f"{extension.dataset.name} has no held-out images"
        why = "evaluation is switched off" if benchmark is False else why
        raise ConfigError(
            f"{NOTHING_EVALUATED}: {why}", hint="evaluate on rows of split test or validation, or leave the gate out"
        )
    with deferred() as signalled:
        asked = callbacks.stop
        stoppable = replace(callbacks, stop=lambda: signalled() or asked())
        record = replace(extension, callbacks=stoppable, gate=gate).run()
    folder = extension.folder
    if extension.world.leads:
        list_skipped(folder.workplace, extension.skipped, extension.notes)
    evaluations = record.run.evaluations if record.run else {}
    return Extended(
        folder.path,
        tuple(Polyglot.open(folder, extension.start.base).languages),
        accuracy_matrix(evaluations),
        evaluations,
        extension.skipped,
        extension.notes,
        callbacks.evaluate.benchmark.gallery if isinstance(callbacks.evaluate, Scorer) else "",
    )
