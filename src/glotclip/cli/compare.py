"""``glotclip compare``: many ways to teach the same languages, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glotclip.cli.console import BaseOption, Console, Pace, Progress, duration
from glotclip.cli.options import say_notes

if TYPE_CHECKING:
    from glotclip.compare.estimate import RunEstimate
    from glotclip.compare.experiment import Experiment
    from glotclip.compare.trial import Trial


def compare(
    recipe: Annotated[Path, typer.Argument(help="A YAML file: model, data, languages, seeds, runs.")],
    out: Annotated[Path, typer.Option(help="The folder to write; a comparison in it goes on.")],
    processes: Annotated[int, typer.Option(min=1, help="Trials side by side, each with its share of the cores.")] = 1,
    only: Annotated[str, typer.Option(metavar="NAMES", help="Runs by name, with commas; all by default.")] = "",
    seeds: Annotated[str, typer.Option(metavar="NUMBERS", help="Instead of the recipe's, with commas.")] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Keep every trial's model in OUT/work.")] = False,
    base: BaseOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Time every run by a few steps; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    trial: Annotated[str, typer.Option(hidden=True, help="Run this trial alone, as a child of a comparison.")] = "",
) -> None:
    """Run a recipe's methods under its seeds, and write one report of what they reach, forget and cost.

    Each run under each seed is a trial with a result of its own. Stopped by Ctrl-C or killed, the same command goes
    on where it was; finished trials are not repeated unless the recipe changed what they are made from.
    """
    from glotclip.compare.experiment import Experiment
    from glotclip.compare.pool import stop_with_parent
    from glotclip.compare.recipe import load_recipe
    from glotclip.compare.run import run_trial

    console = Console(as_json)
    chosen = load_recipe(recipe)
    if trial:
        stop_with_parent()
    with Progress() as progress:
        experiment = Experiment.open(
            chosen,
            out,
            only=_split(only),
            seeds=_numbers(seeds),
            device=device,
            base=base,
            keep=keep,
            progress=progress,
        )
        if trial:
            run_trial(experiment, next(each for each in experiment.trials if each.slug == trial))
            return
        todo = _todo(experiment, console)
        if dry_run:
            plan = _plan(experiment, todo, console, processes)
            console.say("nothing was written")
            console.result({"dry_run": True, "trials": len(experiment.trials), "unfinished": len(todo), **plan})
            return
        _run(experiment, todo, console, processes, device, base)
    _conclude(experiment, console)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str) -> list[int]:
    from glotclip.errors import ConfigError

    if not all(part.isdecimal() for part in _split(text)):
        raise ConfigError(f"--seeds {text!r} is not a list of whole numbers", hint="e.g. --seeds 0,1,2")
    return [int(part) for part in _split(text)]


def _todo(experiment: Experiment, console: Console) -> list[Trial]:
    """The unfinished trials; say how many there are, and which are made anew."""
    todo = experiment.unfinished()
    for each in todo:
        if changed := experiment.outdated(each):
            console.say(f"{each.slug} is made anew, other than before: {', '.join(changed)}")
    console.say(f"{len(experiment.trials)} trials, {len(experiment.trials) - len(todo)} of them finished")
    return todo


def _plan(experiment: Experiment, todo: Sequence[Trial], console: Console, processes: int) -> dict[str, Any]:
    """Say how long the trials will take; a few steps of every run are timed, which takes its time too."""
    from glotclip.compare.estimate import estimate_runs
    from glotclip.evaluation.tables import Table

    if not todo:
        return {"runs": [], "seconds": 0.0}
    found = estimate_runs(experiment, todo)
    console.table(Table.of([_row(each) for each in found], title="What is to be done"))
    seconds = sum(each.seconds * each.trials for each in found) / min(processes, len(todo))
    together = f" with {processes} processes, if that slows none" if processes > 1 else ""
    console.say(f"about {duration(seconds)}{together}")
    runs = [{"run": each.name, "trials": each.trials, "seconds": round(each.seconds, 1)} for each in found]
    return {"runs": runs, "seconds": round(seconds, 1)}


def _row(each: RunEstimate) -> dict[str, str | int | float | None]:
    return {
        "run": each.name,
        "trials": each.trials,
        "trainable weights": None if each.trainable is None else f"{each.trainable:,}",
        "minutes a trial": each.seconds / 60,
        "known from": "finished trials" if each.measured else "a few steps",
    }


def _run(
    experiment: Experiment, todo: Sequence[Trial], console: Console, processes: int, device: str, base: str | None
) -> None:
    from glotclip.compare.experiment import RECIPE
    from glotclip.compare.trial import slug

    began, ended = time.monotonic(), list[str]()
    pace = Pace(least=2 * processes)  # trials take minutes, and end in groups where several run side by side
    pace.left(0.0, 0, len(todo))

    def command(each: Trial) -> list[str]:
        wanted = ["--seeds", str(each.seed), "--only", slug(each.run.name), "--trial", each.slug, "--device", device]
        kept = [*(["--keep"] if experiment.keep else []), *(["--base", base] if base else [])]
        files = [str(experiment.folder / RECIPE), "--out", str(experiment.folder)]
        return ["-m", "glotclip.cli.main", "compare", *files, *wanted, *kept]

    def say(each: Trial, fault: str) -> None:
        ended.append(each.slug)
        past = time.monotonic() - began
        left = pace.left(past, len(ended), len(todo))
        words = f"FAILED: {fault}" if fault else _reached(experiment, each)
        more = f"; about {duration(left)} left" if left is not None and len(ended) < len(todo) else ""
        console.say(f"[{len(ended)} of {len(todo)}, {duration(past)}{more}] {each.slug}: {words}")

    if processes > 1 and todo:
        console.say(f"what each says meanwhile: {experiment.folder / 'work'}/*.log")
    experiment.run(todo, processes=processes, command=command, ended=say)


def _reached(experiment: Experiment, each: Trial) -> str:
    from glotclip.evaluation.comparison import numbers

    value = experiment.finished(each)
    found = numbers(value) if value is not None else {}
    names = ("average", "learnt", "en after")
    scores = ", ".join(f"{name} {found[name]:.1f}" for name in names if found.get(name) is not None)
    return f"R@1 on {value['gallery']}: {scores}" if value is not None and "gallery" in value else scores


def _conclude(experiment: Experiment, console: Console) -> None:
    from glotclip.evaluation import comparison

    value = experiment.write_report()
    done = experiment.results()
    say_notes(console, [note for each in done for note in each.get("notes", ())])
    page = comparison.report(done, title=experiment.recipe.title)
    console.say()
    for table in (table for section in page.sections[:2] for table in section.tables):
        console.table(table)
    console.say(f"report: {experiment.folder / 'report.md'}, {experiment.folder / 'report.html'}")
    console.result(value)
    if experiment.failures:
        for name, fault in experiment.failures.items():
            console.say(f"FAILED {name}: {fault}")
        raise typer.Exit(1)
