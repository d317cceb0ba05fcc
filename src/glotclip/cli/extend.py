"""``glotclip extend``: teach a model languages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glotclip.cli.console import BaseOption, Console, Progress, duration, split_codes
from glotclip.cli.options import HOLD_OUT, MAX_SKIPPED, DefaultLang, Encoding, HoldOut, Images, MaxSkipped, say_notes

if TYPE_CHECKING:
    from glotclip.api import Extended, ExtendPlan
    from glotclip.methods.task import TrainingTask
    from glotclip.training.extend import Hooks
    from glotclip.training.loop import FitResult
    from glotclip.training.plan import TaskEstimate, TokenizerHealth


def extend(
    model: Annotated[str, typer.Argument(help="emoji-clip, a hub id, a checkpoint, or a folder made by `extend`.")],
    lang: Annotated[
        list[str],
        typer.Option(
            "--lang", "--langs", metavar="CODES", help="Languages in the order of learning; commas or repeated."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The folder to write: new, empty, or made by `extend`, as MODEL itself may be.")
    ],
    data: Annotated[str, typer.Option(help="emoji, or a caption file or folder.")] = "emoji",
    images: Images = None,
    default_lang: DefaultLang = None,
    encoding: Encoding = None,
    max_skipped: MaxSkipped = MAX_SKIPPED,
    hold_out: HoldOut = HOLD_OUT,
    method: Annotated[
        str, typer.Option(help="How languages are learnt: lexicon, acquirer, lora, …; docs/methods.md lists all.")
    ] = "lexicon",
    recipe: Annotated[Path | None, typer.Option(help="A YAML file of settings.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting; may be repeated.")
    ] = None,
    joint: Annotated[bool, typer.Option("--joint", help="Learn all languages at once.")] = False,
    continue_learning: Annotated[
        bool, typer.Option("--continue", help="Installed languages go on learning from where they are.")
    ] = False,
    translator: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="Translation engine for text=to-english and target_text=from-english."),
    ] = None,
    base: BaseOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    evaluate: Annotated[bool, typer.Option(help="Score every language after every task.")] = True,
    max_forgetting: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="Refuse what makes a language lose more R@1 than this since it was learnt or the run began.",
        ),
    ] = None,
    report: Annotated[bool, typer.Option(help="Write report.md and report.html.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Teach a model languages, one after another, and write the result to a folder.

    Stopped by Ctrl-C or killed, the same command goes on where it was, to the very same weights.
    """
    from glotclip import api
    from glotclip.config import parse_assignments

    console, began = Console(as_json), time.monotonic()
    with Progress() as progress:
        plan = api.plan_extension(
            model,
            split_codes(lang),
            data=data,
            method=method,
            out=out,
            recipe=recipe,
            settings=parse_assignments(settings or []),
            joint=joint,
            continue_learning=continue_learning,
            translator=translator,
            device=device,
            base=base,
            progress=progress,
            images=images,
            default_lang=default_lang,
            encoding=encoding,
            max_skipped=max_skipped,
            hold_out=hold_out,
        )
        say_notes(console, plan.notes)
        if plan.skipped:
            console.say(_skipped(plan, out, dry_run=dry_run))
        if dry_run:
            _dry_run(plan, console, max_forgetting, evaluate=evaluate)
            return
        if not plan.world.leads:
            api.run_extension(plan, benchmark=evaluate, max_forgetting=max_forgetting)
            return
        hooks = run_hooks(plan, console, progress)
        scorer = api.evaluator(
            plan.polyglot, plan.dataset, plan.curriculum, evaluate, cache=plan.cache, progress=progress
        )
        if scorer is not None:
            hooks = run_hooks(plan, console, progress, gallery=scorer.benchmark.gallery, evaluate=scorer)
        done = api.run_extension(
            plan, benchmark=evaluate, max_forgetting=max_forgetting, hooks=hooks, progress=progress
        )
    value = _results(plan, done, time.monotonic() - began)
    _conclude(plan, done, value, console, with_report=report)
    console.result(value)


def run_hooks(plan: ExtendPlan, console: Console, progress: Progress, *, gallery: str = "", **more: Any) -> Hooks:
    """Make hooks that show the steps of all tasks as one bar, and say a line before and after each task.

    Args:
        plan: of the run.
        console: where lines go.
        progress: where the bar goes.
        gallery: what scores are on, in a few words.
        more: further hooks.
    """
    from glotclip.training.extend import Hooks

    curriculum = plan.curriculum
    sizes = {"+".join(task): sum(curriculum.steps(task, plan.captions)) for task in curriculum.tasks}
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

    return Hooks(log=log, task_started=started, task_done=done, **more)


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


def _results(plan: ExtendPlan, done: Extended, seconds: float) -> dict[str, Any]:
    """Everything about the run, for ``results.json`` and ``--json``."""
    from glotclip.evaluation.retrieval import environment

    curriculum = plan.curriculum
    return {
        "format": 1,
        "folder": str(done.folder),
        "model": plan.polyglot.source,
        "data": plan.dataset.name,
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
    plan: ExtendPlan, done: Extended, value: Mapping[str, Any], console: Console, *, with_report: bool
) -> None:
    """Write results and report into the folder, and show the table."""
    from glotclip.evaluation import report

    plan.folder.workplace.write_json("results.json", value)
    run: dict[str, Any] = {
        "title": f"{plan.polyglot.source} and {', '.join(plan.curriculum.languages)}",
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
        console.say("nothing was evaluated" + _why_unevaluated(plan))
    if with_report:
        text, web = report.write(page, done.folder)
        console.say(f"report: {text}, {web}")
    console.say(f"model: {done.folder} speaks {', '.join(done.languages)}")


def _why_unevaluated(plan: ExtendPlan) -> str:
    held_out = plan.dataset.held_out(list(plan.curriculum.languages))
    return "" if held_out else f": {plan.dataset.name} has no pictures in a split test or validation"


def _skipped(plan: ExtendPlan, out: Path, *, dry_run: bool) -> str:
    from glotclip.data.schema import describe

    count = len(plan.skipped)
    where = "" if dry_run else f"; all in {out / 'skipped.txt'}"
    return f"{count} rows or pictures cannot be used, first: {describe(plan.skipped[0])}{where}"


# --- the dry run -------------------------------------------------------------------------------------------------


def _dry_run(plan: ExtendPlan, console: Console, max_forgetting: float | None, *, evaluate: bool) -> None:
    """Say what the run would cost and how the tokenizer fits, and write nothing."""
    from glotclip.evaluation.tables import Table
    from glotclip.training.plan import estimate

    tasks = estimate(plan.polyglot, plan.curriculum, plan.captions)
    console.table(Table.of([_cost(task) for task in tasks], title="What it would cost", digits=2))
    rows = [_fit(code, task) for task in tasks for code in task.languages]
    note = "A word is an unbroken run of letters; where no spaces are written, a phrase. →: with the new vocabulary."
    console.table(Table.of(rows, title="How the tokenizer fits", note=note))
    seconds = sum(task.seconds for task in tasks)
    gate = None if max_forgetting is None else _gate(plan, max_forgetting, console, evaluate=evaluate)
    console.say(f"about {duration(seconds)} for training; evaluating comes on top. Nothing was written.")
    console.result(
        {
            "dry_run": True,
            "seconds": round(seconds, 1),
            "precision": plan.curriculum.precision,
            "settings": plan.curriculum.settings(),
            "skipped": len(plan.skipped),
            "notes": list(plan.notes),
            "tasks": [task.to_json() for task in tasks],
            **({"gate": gate} if gate else {}),
        }
    )


def _gate(plan: ExtendPlan, max_forgetting: float, console: Console, *, evaluate: bool) -> dict[str, Any]:
    """Say what the gate would measure; whether it would let a task pass nobody knows before training."""
    from glotclip.training.gate import Gate

    gate, installed = Gate(max_forgetting), plan.polyglot.languages
    benchmark = plan.dataset.held_out([*installed, *plan.curriculum.languages]) if evaluate else None
    captions = {} if benchmark is None else {code: len(each) for code, each in benchmark.captions.items()}
    touched = plan.curriculum.shared or plan.curriculum.continue_learning
    gate.begin(installed, {code: captions[code] for code in installed if code in captions}, touched=touched)
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
