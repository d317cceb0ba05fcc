"""Teaching a model languages: the plan, checked and resolved, and its execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from glotclip.api.bases import load
from glotclip.api.common import ENGLISH, Progress, list_skipped, opened, silent, translate_with
from glotclip.api.evaluating import accuracy_matrix, evaluator, validator
from glotclip.config import check_names, read_recipe, settings_from
from glotclip.data.dataset import Dataset
from glotclip.data.features import FeatureCache
from glotclip.data.reading import Reading
from glotclip.data.schema import SkippedItem
from glotclip.data.view import View, ViewedDataset
from glotclip.errors import ConfigError
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.scorer import Scorer
from glotclip.languages import normalise_all
from glotclip.methods.method import Method, method_named
from glotclip.methods.objective import MethodSettings
from glotclip.models.device import choose_precision
from glotclip.models.dual_encoder import DualEncoder
from glotclip.packs.folder import Base, PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.textforms import NONE
from glotclip.training.captions import Captions, collect
from glotclip.training.curriculum import Curriculum
from glotclip.training.extend import Extension, Hooks
from glotclip.training.gate import NOTHING_EVALUATED, Gate
from glotclip.training.interrupt import deferred
from glotclip.training.parallel import World, join_world
from glotclip.training.settings import TrainSettings

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark
    from glotclip.translate.engine import Engine


@dataclass(frozen=True)
class Extended:
    """What :func:`extend` made.

    Attributes:
        folder: the polyglot's folder.
        languages: those it now has.
        matrix: score of every language after every task (mean R@1 of both directions, percent), or None if
            nothing was evaluated.
        evaluations: the scores themselves: task → language → scores.
        skipped: rows and pictures that could not be used; also listed in ``skipped.txt`` in the folder.
        notes: what else there is to know of the data, warnings included; likewise.
        gallery: what the scores are on, in a few words; empty if nothing was evaluated, or by a hook of one's own.
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


@dataclass
class ExtendPlan:
    """Everything :func:`extend` needs, checked and resolved, before anything is trained."""

    polyglot: Polyglot
    folder: PolyglotFolder
    dataset: Dataset
    curriculum: Curriculum
    captions: dict[str, Captions]
    skipped: tuple[SkippedItem, ...]
    cache: Path | None = None
    world: World = field(default_factory=World)
    notes: tuple[str, ...] = ()


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
        layers.append((f"the recipe {recipe}", read_recipe(Path(recipe))))
    layers.append(("the settings given", dict(settings)))
    merged: dict[str, Any] = {}
    for where, layer in layers:
        if layer.get("method", method.name) != method.name:
            raise ConfigError(f"{where} are for method {layer['method']!r}", hint=f"use --method {layer['method']}")
        layer.pop("method", None)
        check_names(layer, known, where=where)
        if "epochs" in layer:
            merged.pop("steps", None)  # which would win over epochs, wherever they come from
        merged.update(method.expanded(layer))  # layer by layer: a later shorthand wins over an earlier name
    of_loop = {name: value for name, value in merged.items() if name in TrainSettings.model_fields}
    of_method = {name: value for name, value in merged.items() if name not in TrainSettings.model_fields}
    where = "the settings"
    return settings_from(method.settings, of_method, where=where), settings_from(TrainSettings, of_loop, where=where)


def curriculum_of(
    base: DualEncoder,
    codes: Sequence[str],
    *,
    method: str,
    recipe: str | Path | None = None,
    settings: Mapping[str, Any],
    joint: bool = False,
    continue_learning: bool = False,
) -> Curriculum:
    """Resolve what is learnt and how, before any data is opened.

    Raises:
        ConfigError: for settings that are unknown, wrong, or do not go together.
    """
    chosen = method_named(method)
    own, train = resolve_settings(chosen, base, recipe, settings)
    tasks = (tuple(codes),) if joint else tuple((code,) for code in codes)
    return Curriculum(chosen, own, train, tasks, choose_precision(train.precision, base.device), continue_learning)


def plan_extension(
    model: str | Path | Polyglot,
    langs: str | Sequence[str],
    *,
    data: str | Path | Dataset = "emoji",
    method: str = "lexicon",
    out: str | Path,
    recipe: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    joint: bool = False,
    continue_learning: bool = False,
    translator: str | Engine | None = None,
    device: str = "auto",
    base: Base | None = None,
    cache: Path | None = None,
    progress: Progress = silent,
    **reading: Unpack[Reading],
) -> ExtendPlan:
    """Check and resolve everything that :func:`extend` does before it trains; arguments as there."""
    codes = normalise_all(langs)
    if not codes:
        raise ConfigError("no language was named", hint="name at least one, e.g. --lang de")
    folder = PolyglotFolder(out)
    _check_out(folder, model, data)
    polyglot = model if isinstance(model, Polyglot) else load(model, device=device, base=base)
    curriculum = curriculum_of(
        polyglot.base,
        codes,
        method=method,
        recipe=recipe,
        settings=settings or {},
        joint=joint,
        continue_learning=continue_learning,
    )
    wanted, train = curriculum.method_settings, curriculum.train
    view = View(wanted.text, wanted.target_text, train.shots, train.shots_seed)
    dataset = opened(data, reading)
    if view != View():
        dataset = ViewedDataset(dataset, view, translate_with(translator, cache))
    corpus = dataset.corpus(codes)
    store = FeatureCache(polyglot.base.fingerprint, cache)
    asis = wanted.text_form == NONE

    def target_form(text: str, code: str) -> str:
        """The form of an English counterpart, or of what was translated from it into the language."""
        if wanted.target_text == "from-english":
            return curriculum.text_form(code, polyglot.base)(text, code)
        return text if asis else polyglot.base.text_form(text, ENGLISH)

    losses = [stage.objective for stage in curriculum.stages()]
    captions = {
        code: collect(
            corpus,
            code,
            polyglot.base,
            store,
            with_images=any(loss.wants_images for loss in losses),
            with_target_features=any(loss.cross_lingual > 0 and not loss.encodes_targets for loss in losses),
            with_target_texts=any(loss.encodes_targets for loss in losses),
            form=partial(curriculum.text_form(code, polyglot.base), lang=code),
            target_form=partial(target_form, code=code),
            progress=progress,
        )
        for code in codes
    }
    skipped = (
        *corpus.skipped,
        *corpus.unused,
        *dict.fromkeys(bad for each in captions.values() for bad in each.skipped),
    )
    notes = dataset.notes(codes) or corpus.notes
    return ExtendPlan(polyglot, folder, dataset, curriculum, captions, skipped, cache, join_world(), notes)


def _check_out(folder: PolyglotFolder, model: str | Path | Polyglot, data: str | Path | Dataset) -> None:
    """Refuse a folder that is not glotclip's to write, before anything is computed.

    It may be the model's own, which then gains the languages.
    """
    inputs: list[str | Path | None] = [*data.sources] if isinstance(data, Dataset) else [data]
    if not isinstance(model, Polyglot):
        own = PolyglotFolder.is_one(model) and folder.path.exists() and folder.path.samefile(model)
        inputs += [] if own else [model]
    folder.check(inputs=inputs)


def extend(
    model: str | Path | Polyglot,
    langs: str | Sequence[str],
    *,
    data: str | Path | Dataset = "emoji",
    method: str = "lexicon",
    out: str | Path,
    recipe: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    joint: bool = False,
    continue_learning: bool = False,
    translator: str | Engine | None = None,
    device: str = "auto",
    base: Base | None = None,
    benchmark: bool | str | Path | Benchmark = True,
    max_forgetting: float | None = None,
    cache: Path | None = None,
    hooks: Hooks | None = None,
    progress: Progress = silent,
    **reading: Unpack[Reading],
) -> Extended:
    """Teach a model languages and write the result to a folder; run again after a kill, it goes on.

    Args:
        model: what :func:`load` takes; a folder made by an earlier ``extend`` gains the languages.
        langs: the languages, learnt one after another in this order: a list of codes, or a text with one or several.
        data: ``emoji``, or a caption file or folder with columns text, lang, image and/or english.
        method: how; see :data:`glotclip.methods.method.METHODS`.
        out: the folder to write: new, empty, or made by glotclip. It may be ``model`` itself if that is such a
            folder: each language is one atomic update.
        recipe: a YAML file of settings that differ from the defaults.
        settings: settings that differ from the recipe, e.g. ``{"steps": 50, "isolation": "per-language"}``.
        joint: learn all languages in one task instead of one after another (needs a shared table).
        further: let languages that are installed go on learning from where they are.
        companions: translation engine that makes the machine translations which ``text`` and ``partner`` ask for and
            the data lacks; see :func:`glotclip.translate.specs.open_translator`.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        base: as :func:`load` takes it.
        benchmark: what every language is evaluated on after every task. True: the data's own held-out rows;
            False: nothing.
        max_forgetting: points of R@1 that any language may lose before a task is refused; see :func:`run_extension`.
        cache: root of the feature cache.
        hooks: callbacks for progress; where ``evaluate`` is not given, ``benchmark`` is evaluated, and a signal
            stops the run as ``stop`` does.
        progress: called with (what, done, total) while features are computed.
        reading: how data of one's own is read: ``images``, ``default_lang``, ``encoding``, ``max_skipped``,
            ``hold_out``; see :class:`glotclip.data.reading.Reading`.

    Raises:
        GlotclipError: any of its kinds, each with what to do next; the folder is then as it was.
        KeyboardInterrupt: after Ctrl-C, with the state saved.
    """
    plan = plan_extension(
        model, langs, data=data, method=method, out=out, recipe=recipe, settings=settings,
        joint=joint, continue_learning=continue_learning, translator=translator, device=device, base=base, cache=cache, progress=progress,
        **reading,
    )  # fmt: skip
    return run_extension(plan, benchmark=benchmark, max_forgetting=max_forgetting, hooks=hooks, progress=progress)


def run_extension(
    plan: ExtendPlan,
    *,
    benchmark: bool | str | Path | Benchmark = True,
    max_forgetting: float | None = None,
    hooks: Hooks | None = None,
    progress: Progress = silent,
) -> Extended:
    """Carry out a plan; see :func:`extend`.

    Args:
        plan: what :func:`plan_extension` gave.
        benchmark: what every language is evaluated on after every task.
        max_forgetting: points of R@1 (mean of both directions) that a language may lose from where it stood before
            the run, or when the run taught it. A task after which any has lost more is not installed.
        hooks: callbacks.
        progress: called with (what, done, total) while features are computed.

    Raises:
        ForgettingError: if a task is refused; the folder is as before that task.
        ConfigError: for a gate without anything to measure.
    """
    hooks = hooks or Hooks()
    if plan.curriculum.train.evaluate_every and hooks.validate is None:
        hooks = replace(hooks, validate=validator(plan, progress))
    if benchmark is not False and hooks.evaluate is None:
        hooks = replace(hooks, evaluate=evaluator(plan, benchmark, progress))
    gate = None if max_forgetting is None else Gate(max_forgetting)
    if gate is not None and hooks.evaluate is None:
        why = "evaluation is switched off" if benchmark is False else f"{plan.dataset.name} has no held-out pictures"
        raise ConfigError(
            f"{NOTHING_EVALUATED}: {why}", hint="evaluate on rows of split test or validation, or leave the gate out"
        )
    start_folders: dict[str, Path] = {
        name: pack.folder.resolve() for name, pack in plan.polyglot.packs.items() if pack.folder is not None
    }
    with deferred() as signalled:
        asked = hooks.stop
        hooks = replace(hooks, stop=lambda: signalled() or asked())
        extension = Extension(
            plan.folder, plan.polyglot, plan.captions, plan.curriculum, start_folders, hooks, plan.world, gate
        )
        record = extension.run()
    if plan.world.leads:
        list_skipped(plan.folder.workplace, plan.skipped, plan.notes)
    evaluations = record.run.evaluations if record.run else {}
    gallery = hooks.evaluate.benchmark.gallery if isinstance(hooks.evaluate, Scorer) else ""
    return Extended(
        plan.folder.path,
        tuple(Polyglot.open(plan.folder, plan.polyglot.base).languages),
        accuracy_matrix(evaluations),
        evaluations,
        plan.skipped,
        plan.notes,
        gallery,
    )
