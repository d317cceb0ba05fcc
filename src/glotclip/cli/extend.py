"""``glotclip extend``: teach a model languages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glotclip.api.config import ExtendConfig
from glotclip.cli.console import Console, Progress, duration
from glotclip.cli.options import say_notes, takes

if TYPE_CHECKING:
    from glotclip.api import Extended
    from glotclip.methods.task import TrainingTask
    from glotclip.training.callbacks import Callbacks
    from glotclip.training.estimate import TaskEstimate, TokenizerHealth
    from glotclip.training.extension import Extension
    from glotclip.training.trainer import FitResult


@takes(ExtendConfig)
def extend(
    config: ExtendConfig,
    report: Annotated[bool, typer.Option(help="Write report.md and report.html.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Teach a model languages, one after another, and write the result to a folder.

    Stopped by Ctrl-C or killed, the same command goes on where it was, to the very same weights.
    """
    from glotclip import api

    console, began = Console(as_json), time.monotonic()
    with Progress() as progress:
        extension = api.prepare_extension(config, progress)
        say_notes(console, extension.notes)
        if extension.skipped:
            console.say(_skipped(extension, dry_run=dry_run))
        if dry_run:
            _dry_run(extension, config, console)
            return
        if not extension.world.leads:
            api.run_extension(extension, benchmark=config.benchmark, max_forgetting=config.max_forgetting)
            return
        scorer = api.evaluator(extension, config.benchmark, progress)
        gallery = "" if scorer is None else scorer.benchmark.gallery
        done = api.run_extension(
            extension,
            benchmark=config.benchmark,
            max_forgetting=config.max_forgetting,
            callbacks=run_callbacks(extension, console, progress, gallery=gallery, evaluate=scorer),
            progress=progress,
        )
    value = _results(extension, done, time.monotonic() - began)
    _conclude(extension, done, value, console, with_report=report)
    console.result(value)


def run_callbacks(
    extension: Extension, console: Console, progress: Progress, *, gallery: str = "", **more: Any
) -> Callbacks:
    """Make callbacks that show the steps of all tasks as one bar, and say a line before and after each task.

    Args:
        extension: the run.
        console: where lines go.
        progress: where the bar goes.
        gallery: what scores are on, in a few words.
        more: further callbacks.
    """
    from glotclip.training.callbacks import Callbacks

    sizes = extension.task_steps()
    names, total = list(sizes), sum(sizes.values())
    before = {name: sum(sizes[earlier] for earlier in names[:place]) for place, name in enumerate(names)}

    def started(name: str, task: TrainingTask, steps: int) -> None:
        place = f"{names.index(name) + 1} of {len(names)}"
        console.say(f"{name} ({place}): {task.trainable:,} weights train, {steps} steps")

    def log(numbers: Mapping[str, Any]) -> None:
        name = numbers["task"]
        progress("training", before[name] + numbers["step"], total, f"{name}, loss {numbers['loss']:.4f}")

    def done(name: str, result: FitResult, scores: Mapping[str, Any]) -> None:
        console.say(f"  {duration(result.seconds)}{_resumed(result)}{_task_scores(name.split('+'), scores, gallery)}")

    return Callbacks(log=log, task_started=started, task_done=done, **more)


def _resumed(result: FitResult) -> str:
    return f" (went on from step {result.resumed_at})" if result.resumed_at else ""


def _task_scores(learnt: Sequence[str], scores: Mapping[str, Any], gallery: str) -> str:
    """The line after a task: R@1 of its languages, the average, and English, and the gallery they are on."""
    from glotclip.scores import headline

    if not scores:
        return ""
    r1 = {code: headline(each) for code, each in scores.items()}
    words = [f"{code} {r1[code]:.1f}" for code in learnt if code in r1]
    words.append(f"average of {len(r1)}: {sum(r1.values()) / len(r1):.1f}")
    if "en" in r1 and "en" not in learnt:
        words.append(f"English {r1['en']:.1f}")
    return "; R@1 " + ", ".join(words) + (f" (on {gallery})" if gallery else "")


def _results(extension: Extension, done: Extended, seconds: float) -> dict[str, Any]:
    """Everything about the run, for ``results.json`` and ``--json``."""
    from glotclip.evaluation.retrieval import environment

    curriculum = extension.curriculum
    return {
        "format": 1,
        "folder": str(done.folder),
        "model": extension.start.source,
        "data": extension.dataset.name,
        "method": curriculum.method.name,
        "tasks": [list(task) for task in curriculum.tasks],
        "languages": list(done.languages),
        "summary": done.matrix.summary() if done.matrix else None,
        "matrix": done.matrix.to_json() if done.matrix else None,
        "evaluations": dict(done.evaluations),
        "gallery": done.gallery,
        "skipped": len(done.skipped),
        "notes": list(done.notes),
        "seconds": round(seconds, 1),
        "settings": curriculum.settings(),
        "environment": environment(),
    }


def _conclude(
    extension: Extension, done: Extended, value: Mapping[str, Any], console: Console, *, with_report: bool
) -> None:
    """Write results and report into the folder, and show the table."""
    from glotclip.evaluation import report

    extension.folder.workplace.write_json("results.json", value)
    run: dict[str, Any] = {
        "title": f"{extension.start.source} and {', '.join(extension.curriculum.languages)}",
        "summary": f"Method {value['method']} on {value['data']}, {duration(value['seconds'])} in all.",
        "settings": value["settings"],
        "environment": value["environment"],
        "gallery": done.gallery,
    }
    if done.matrix is not None:
        run["matrices"] = {value["method"]: done.matrix}
    page = report.from_run(**run)
    if done.matrix is not None:
        console.say()
        for table in page.sections[0].tables:
            console.table(table)
    else:
        console.say("nothing was evaluated" + _why_unevaluated(extension))
    if with_report:
        text, web = report.write(page, done.folder)
        console.say(f"report: {text}, {web}")
    console.say(f"model: {done.folder} speaks {', '.join(done.languages)}")


def _why_unevaluated(extension: Extension) -> str:
    held_out = extension.dataset.held_out(list(extension.curriculum.languages))
    return "" if held_out else f": {extension.dataset.name} has no images in a split test or validation"


def _skipped(extension: Extension, *, dry_run: bool) -> str:
    from glotclip.data.schema import describe

    count = len(extension.skipped)
    where = "" if dry_run else f"; all in {extension.folder.path / 'skipped.txt'}"
    return f"{count} rows or images cannot be used, first: {describe(extension.skipped[0])}{where}"


# --- the dry run -------------------------------------------------------------------------------------------------


def _dry_run(extension: Extension, config: ExtendConfig, console: Console) -> None:
    """Say what the run would cost and how the tokenizer fits, and write nothing."""
    from glotclip.evaluation.tables import Table
    from glotclip.training.estimate import estimate

    tasks = estimate(extension.start, extension.curriculum, extension.captions)
    console.table(Table.of([_cost(task) for task in tasks], title="What it would cost", digits=2))
    rows = [_fit(code, task) for task in tasks for code in task.languages]
    note = "A word is an unbroken run of letters; where no spaces are written, a phrase. →: with the new vocabulary."
    console.table(Table.of(rows, title="How the tokenizer fits", note=note))
    seconds = sum(task.seconds for task in tasks)
    gate = None if config.max_forgetting is None else _gate(extension, config, config.max_forgetting, console)
    console.say(f"about {duration(seconds)} for training; evaluating comes on top. Nothing was written.")
    console.result(
        {
            "dry_run": True,
            "seconds": round(seconds, 1),
            "precision": extension.curriculum.precision,
            "settings": extension.curriculum.settings(),
            "skipped": len(extension.skipped),
            "notes": list(extension.notes),
            "tasks": [task.to_json() for task in tasks],
            **({"gate": gate} if gate else {}),
        }
    )


def _gate(extension: Extension, config: ExtendConfig, max_forgetting: float, console: Console) -> dict[str, Any]:
    """Say what the gate would measure; whether it would let a task pass nobody knows before training."""
    from glotclip.training.gate import Gate

    gate, installed = Gate(max_forgetting), extension.start.languages
    benchmark = (
        extension.dataset.held_out([*installed, *extension.curriculum.languages]) if config.benchmark else None
    )
    captions = {} if benchmark is None else {code: len(each) for code, each in benchmark.captions.items()}
    measured = {code: captions[code] for code in installed if code in captions}
    gate.begin(installed, measured, touched=extension.curriculum.builds_on_packs)
    assert benchmark is not None  # something is measured
    rows = ", ".join(f"{code} ({captions[code]} captions)" for code in installed if code in captions)
    console.say(
        f"gate: {rows} would be measured on {len(benchmark.images)} {benchmark.medium}s of {benchmark.name} before "
        f"the first and after each task, as would each language learnt; a task after which any has lost more than "
        f"{max_forgetting:g} points of R@1 would not be installed. Whether one would, only training tells."
    )
    return {"max_forgetting": max_forgetting, "benchmark": benchmark.name, "captions": captions}


def _cost(task: TaskEstimate) -> dict[str, str | int | float | None]:
    return {
        "language": "+".join(task.languages),
        "captions": task.captions,
        "steps": task.steps,
        "trainable weights": f"{task.trainable:,}",
        "peak memory, MB": None if task.peak_bytes is None else round(task.peak_bytes / 1e6),
        "minutes": task.seconds / 60,
    }


def _fit(code: str, task: TaskEstimate) -> dict[str, str]:
    before, after = task.before[code], task.after[code]

    def both(show: Callable[[TokenizerHealth], str]) -> str:
        return f"{show(before)} → {show(after)}"

    return {
        "language": code,
        "tokens a word": both(lambda fit: f"{fit.tokens_per_word:.1f}"),
        "captions cut": both(lambda fit: f"{fit.truncated:.1%}"),
        "byte fallback": both(lambda fit: "–" if fit.byte_fallback is None else f"{fit.byte_fallback:.1%}"),
    }
