"""The public functions, used in the same way from Python and by the command line.

This is the one place where training and evaluation meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glotclip.config import check_names, read_recipe, settings_from
from glotclip.data.dataset import Dataset, open_dataset
from glotclip.data.features import FeatureCache, Features
from glotclip.data.schema import BadRow, describe
from glotclip.data.view import Translate, View, ViewedDataset, validation
from glotclip.errors import ConfigError, DataError, StorageError
from glotclip.evaluation import retrieval
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.scorer import Scorer
from glotclip.languages import normalise_all
from glotclip.methods.method import Method, method_named
from glotclip.methods.settings import MethodSettings
from glotclip.models.checkpoints import load_base, save_base
from glotclip.models.device import choose_device, choose_precision
from glotclip.models.dual_encoder import DualEncoder
from glotclip.packs.folder import PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import write_json, write_text
from glotclip.training.captions import Captions, collect
from glotclip.training.extend import Curriculum, Extension, Hooks
from glotclip.training.gate import NOTHING_EVALUATED, Gate
from glotclip.training.interrupt import deferred
from glotclip.training.parallel import World, join_world
from glotclip.training.settings import TrainSettings
from glotclip.training.teaching import Validate
from glotclip.translate.cache import Translator
from glotclip.translate.queries import TranslatedQueries
from glotclip.translate.specs import open_engine

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark
    from glotclip.translate.engine import Engine

Progress = Callable[[str, int, int], None]
ENGLISH = "en"


def _silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def load(name_or_path: str | Path, *, device: str = "auto", base: DualEncoder | None = None) -> Polyglot:
    """Load a model ready to encode texts and pictures.

    Args:
        name_or_path: ``emoji-clip``, a hub id, a checkpoint folder or file, or a folder made by ``extend``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        base: for a folder made by ``extend`` whose base has moved: the base, already loaded.

    Raises:
        CheckpointError: if there is no such model, or it cannot be read.
        PackError: if a pack in the folder is damaged or belongs to another base.
    """
    if PolyglotFolder.is_one(name_or_path):
        polyglot = PolyglotFolder(name_or_path).load(base)
    else:
        where = Path(name_or_path)
        source = str(where.resolve()) if where.exists() else str(name_or_path)
        polyglot = Polyglot(base or load_base(str(name_or_path)), source=source)
    return polyglot.to(choose_device(device))


def evaluate(
    model: Polyglot | str | Path,
    benchmark: Benchmark | Dataset | str | Path = "emoji",
    langs: Sequence[str] | None = None,
    *,
    device: str = "auto",
    precision: str = "fp32",
    translate: Engine | str | None = None,
    companions: Engine | str | None = None,
    cache: Path | None = None,
    progress: Progress = _silent,
    intervals: int = 1000,
) -> dict[str, Any]:
    """Score retrieval in both directions, language by language; see :func:`glotclip.evaluation.retrieval.evaluate`.

    Args:
        model: a loaded model, or what :func:`load` takes.
        benchmark: a benchmark, ``emoji``, or a dataset, caption file or folder whose rows of split "test" are used.
        langs: languages; by default those that both model and benchmark have.
        device: where to compute.
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
    polyglot = model if isinstance(model, Polyglot) else load(model, device=device)
    encoder: retrieval.TextEncoder = _TextEncoder(polyglot, choose_precision(precision, polyglot.base.device))
    name, rival = polyglot.source, None
    if translate is not None:
        engine = Translator(open_engine(translate) if isinstance(translate, str) else translate, cache)
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
    taught = {code: pack.manifest.settings.get("text") for pack in polyglot.packs.values() for code in pack.languages}
    translated = [code for code in codes if taught.get(code) == "to-english" and not rival]
    plain = dataset.benchmark(codes)
    if not translated:
        return plain
    viewed = ViewedDataset(dataset, View(text="to-english"), _translator(companions, cache)).benchmark(translated)
    return replace(plain, captions={**plain.captions, **viewed.captions}, protocol=viewed.protocol)


@dataclass(frozen=True)
class _TextEncoder:
    """A polyglot as evaluation sees it."""

    polyglot: Polyglot
    precision: str = "fp32"

    def encode_text(self, texts: Sequence[str], lang: str) -> np.ndarray[Any, Any]:
        features: np.ndarray[Any, Any] = (
            self.polyglot.encode_text(texts, lang, precision=self.precision).cpu().numpy()
        )
        return features


def gallery_features(
    polyglot: Polyglot, benchmark: Benchmark, cache: Path | None = None, progress: Progress = _silent
) -> Features:
    """Features of a benchmark's pictures or videos, from the cache or computed into it."""
    store = FeatureCache(polyglot.base.fingerprint, cache)
    load_pixels, encode = polyglot.base.preprocess.load, polyglot.image_features
    say = partial(progress, f"{benchmark.medium}s")
    if benchmark.sampling is not None:
        return store.videos(benchmark.images, load_pixels, encode, sampling=benchmark.sampling, progress=say)
    return store.images(benchmark.images, load_pixels, encode, progress=say)


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
    """

    folder: Path
    languages: tuple[str, ...]
    matrix: AccuracyMatrix | None
    evaluations: Mapping[str, Any]
    skipped: tuple[BadRow, ...] = ()

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
    skipped: tuple[BadRow, ...]
    cache: Path | None = None
    world: World = field(default_factory=World)


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
        merged.update(method.expanded(layer))  # layer by layer: a later shorthand wins over an earlier name
    of_loop = {name: value for name, value in merged.items() if name in TrainSettings.model_fields}
    of_method = {name: value for name, value in merged.items() if name not in TrainSettings.model_fields}
    where = "the settings"
    return settings_from(method.settings, of_method, where=where), settings_from(TrainSettings, of_loop, where=where)


def plan_extension(
    model: str | Path | Polyglot,
    langs: Sequence[str],
    *,
    data: str | Path | Dataset = "emoji",
    method: str = "lexicon",
    out: str | Path,
    recipe: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    joint: bool = False,
    further: bool = False,
    companions: str | Engine | None = None,
    device: str = "auto",
    cache: Path | None = None,
    progress: Progress = _silent,
) -> ExtendPlan:
    """Check and resolve everything that :func:`extend` does before it trains; arguments as there."""
    codes = normalise_all(langs)
    if not codes:
        raise ConfigError("no language was named", hint="name at least one, e.g. --lang de")
    polyglot = model if isinstance(model, Polyglot) else load(model, device=device)
    chosen = method_named(method)
    method_settings, train = resolve_settings(chosen, polyglot.base, recipe, settings or {})
    tasks = (tuple(codes),) if joint else tuple((code,) for code in codes)
    curriculum = Curriculum(
        chosen, method_settings, train, tasks, choose_precision(train.precision, polyglot.base.device), further
    )
    view = View(method_settings.text, method_settings.partner, train.shots, train.shots_seed)
    dataset: Dataset = data if isinstance(data, Dataset) else open_dataset(data)
    if view != View():
        dataset = ViewedDataset(dataset, view, _translator(companions, cache))
    corpus = dataset.corpus(codes)
    store = FeatureCache(polyglot.base.fingerprint, cache)
    losses = [stage.objective for stage in curriculum.stages()]
    captions = {
        code: collect(
            corpus,
            code,
            polyglot.base,
            store,
            with_images=any(loss.wants_images for loss in losses),
            partner_features=any(loss.cross_lingual > 0 and not loss.wants_partner_tokens for loss in losses),
            partner_texts=any(loss.wants_partner_tokens for loss in losses),
            progress=progress,
        )
        for code in codes
    }
    skipped = (*corpus.bad, *dict.fromkeys(bad for each in captions.values() for bad in each.bad))
    return ExtendPlan(polyglot, PolyglotFolder(out), dataset, curriculum, captions, skipped, cache, join_world())


def extend(
    model: str | Path | Polyglot,
    langs: Sequence[str],
    *,
    data: str | Path | Dataset = "emoji",
    method: str = "lexicon",
    out: str | Path,
    recipe: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    joint: bool = False,
    further: bool = False,
    companions: str | Engine | None = None,
    device: str = "auto",
    benchmark: bool | str | Path | Benchmark = True,
    max_forgetting: float | None = None,
    cache: Path | None = None,
    hooks: Hooks | None = None,
    progress: Progress = _silent,
) -> Extended:
    """Teach a model languages and write the result to a folder; run again after a kill, it goes on.

    Args:
        model: what :func:`load` takes; a folder made by an earlier ``extend`` gains the languages.
        langs: the languages, learnt one after another in this order.
        data: ``emoji``, or a caption file or folder with columns text, lang, image and/or english.
        method: how; see :data:`glotclip.methods.method.METHODS`.
        out: the folder to write. It may be ``model`` itself: each language is one atomic update.
        recipe: a YAML file of settings that differ from the defaults.
        settings: settings that differ from the recipe, e.g. ``{"steps": 50, "isolation": "per-language"}``.
        joint: learn all languages in one task instead of one after another (needs a shared table).
        further: let languages that are installed go on learning from where they are.
        companions: translation engine that makes the machine translations which ``text`` and ``partner`` ask for and
            the data lacks; see :func:`glotclip.translate.specs.open_engine`.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        benchmark: what every language is evaluated on after every task. True: the data's own held-out rows;
            False: nothing.
        max_forgetting: points of R@1 that any language may lose before a task is refused; see :func:`run_extension`.
        cache: root of the feature cache.
        hooks: callbacks for progress; where ``evaluate`` is not given, ``benchmark`` is evaluated, and a signal
            stops the run as ``stop`` does.
        progress: called with (what, done, total) while features are computed.

    Raises:
        GlotclipError: any of its kinds, each with what to do next; the folder is then as it was.
        KeyboardInterrupt: after Ctrl-C, with the state saved.
    """
    plan = plan_extension(
        model, langs, data=data, method=method, out=out, recipe=recipe, settings=settings,
        joint=joint, further=further, companions=companions, device=device, cache=cache, progress=progress,
    )  # fmt: skip
    return run_extension(plan, benchmark=benchmark, max_forgetting=max_forgetting, hooks=hooks, progress=progress)


def run_extension(
    plan: ExtendPlan,
    *,
    benchmark: bool | str | Path | Benchmark = True,
    max_forgetting: float | None = None,
    hooks: Hooks | None = None,
    progress: Progress = _silent,
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
        hooks = replace(hooks, validate=_validator(plan, progress))
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
        list_of_skipped = plan.folder.path / "skipped.txt"
        list_of_skipped.unlink(missing_ok=True)  # of an earlier run
        if plan.skipped:
            write_text(list_of_skipped, "".join(f"{describe(bad)}\n" for bad in plan.skipped))
    evaluations = record.run.evaluations if record.run else {}
    return Extended(
        plan.folder.path,
        tuple(plan.folder.load(plan.polyglot.base).languages),
        accuracy_matrix(evaluations),
        evaluations,
        plan.skipped,
    )


@dataclass(frozen=True)
class Finetuned:
    """What :func:`finetune` made: the new base's folder and fingerprint, and what the run did."""

    folder: Path
    fingerprint: str
    steps: int
    seconds: float
    skipped: tuple[BadRow, ...] = ()


def finetune(
    model: str | Path | DualEncoder,
    *,
    data: str | Path | Dataset,
    out: str | Path,
    recipe: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    log: Callable[[dict[str, Any]], None] | None = None,
) -> Finetuned:
    """Fine-tune both towers of a base on English pairs, and save the result as a new base (MLA's FT-En).

    Args:
        model: the base, or what :func:`load` takes; packs of a folder are not touched.
        data: ``emoji``, or a caption file or folder with English captions.
        out: the folder to write; it must not exist yet.
        recipe: a YAML file of settings that differ from :class:`~glotclip.training.finetune.FinetuneSettings`.
        settings: settings that differ from the recipe.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        log: called after every step with its numbers.

    Raises:
        StorageError: if ``out`` exists.
        DataError: if the data has no English training pairs.
    """
    from glotclip.training import finetune as tuning

    target = Path(out)
    if target.exists():
        raise StorageError(f"{target} is there already", hint="choose another --out, or remove it")
    values = {**(read_recipe(Path(recipe)) if recipe else {}), **(settings or {})}
    chosen = settings_from(tuning.FinetuneSettings, values, where="the settings")
    base = load(model, device=device).base if isinstance(model, str | Path) else model
    dataset = data if isinstance(data, Dataset) else open_dataset(data)
    corpus = dataset.corpus([ENGLISH])
    checkpoint = target.with_name(f".{target.name}.training.safetensors")
    encoder, result, bad = tuning.finetune(base, corpus, chosen, name=target.name, checkpoint=checkpoint, log=log)
    save_base(encoder, target)
    facts = {"settings": chosen.model_dump(mode="json"), "base": base.fingerprint, "data": dataset.name}
    write_json(target / "training.json", {**facts, "steps": result.steps, "seconds": round(result.seconds, 1)})
    skipped = (*corpus.bad, *bad)
    if skipped:
        write_text(target / "skipped.txt", "".join(f"{describe(each)}\n" for each in skipped))
    checkpoint.unlink(missing_ok=True)
    return Finetuned(target, encoder.fingerprint, result.steps, result.seconds, skipped)


def rebase(folder: str | Path, base: str | Path | DualEncoder, out: str | Path) -> Polyglot:
    """Copy a model's packs onto another base of the same shape, and return the model that was made.

    Args:
        folder: made by :func:`extend`.
        base: a fine-tuned copy of its base.
        out: the folder to write.

    Raises:
        ConfigError: if the new base has another tokenizer or text geometry.
    """
    from glotclip.packs.rebase import rebase as move

    encoder = base if isinstance(base, DualEncoder) else load(base).base
    if isinstance(base, DualEncoder):
        source = encoder.name
    else:
        source = str(Path(base).resolve()) if Path(base).exists() else str(base)
    return move(PolyglotFolder(folder), encoder, source, Path(out)).load(encoder)


def _translator(companions: str | Engine | None, cache: Path | None) -> Translate | None:
    """Translate through the disk cache with the engine that was named, if one was."""
    if companions is None:
        return None
    engine = open_engine(companions) if isinstance(companions, str) else companions
    return Translator(engine, cache).translate


def _validator(plan: ExtendPlan, progress: Progress) -> Validate:
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
    progress: Progress = _silent,
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
    encoder = partial(_TextEncoder, precision=plan.curriculum.precision)
    return Scorer(chosen, features, encoder, draws=intervals, final=learnt)


def accuracy_matrix(evaluations: Mapping[str, Any], subset: str | None = None) -> AccuracyMatrix | None:
    """Mean R@1 of both directions of every language after every task, as the record of a run holds it."""
    return AccuracyMatrix.of(evaluations, subset=subset) if evaluations else None
