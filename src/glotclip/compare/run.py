"""Running one trial in a folder of its own, and its result as one self-describing file.

DIR/trials/NAME-SEED.json     the result; whoever wants to repeat the trial finds everything in it
DIR/work/NAME-SEED/           what an unfinished trial needs to go on, removed when the result is there
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from glotclip import api
from glotclip.compare.trial import Trial
from glotclip.config import digest
from glotclip.data.mixture import described
from glotclip.errors import DataError
from glotclip.evaluation.retrieval import environment
from glotclip.methods.task import TrainingTask
from glotclip.ownership import discard, strangers
from glotclip.packs.folder import RECORD, PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.scores import DIRECTIONS
from glotclip.storage import read_json, to_json, write_json, write_text
from glotclip.threads import held_at
from glotclip.training.callbacks import Callbacks
from glotclip.training.extension import Extension
from glotclip.training.trainer import FitResult

if TYPE_CHECKING:
    from glotclip.compare.experiment import Experiment

FORMAT, WORK, MARK, TASKS = 1, "work", "mark.json", "tasks.json"
_OWN = (MARK, TASKS, RECORD)


def run_trial(experiment: Experiment, trial: Trial) -> None:
    """Teach and score one trial, and write its result; what was done before a kill is not done again.

    Raises:
        GlotclipError: any of its kinds; the other trials are not concerned.
        KeyboardInterrupt: after a signal, with the state saved.
    """
    inputs, work = experiment.inputs(trial), experiment.work(trial)
    identity, threads = digest(inputs), torch.get_num_threads()
    begun = _read(work / MARK)
    if begun.get("identity") == identity:
        threads = begun.get("threads", threads)
    elif os.path.lexists(work):
        discard(work, _OWN if _is_work(work) else ())
    work.mkdir(parents=True, exist_ok=True)
    write_json(work / MARK, {"identity": identity, "threads": threads})
    # Threads change sums in their last bits, so a run goes on with as many as it began with.
    with held_at(threads):
        value = _taught(experiment, trial)
    head = {"format": FORMAT, "name": trial.run.name, "group": trial.run.group, "seed": trial.seed}
    head |= {"model": str(trial.recipe.model), "data": described(trial.recipe.data)}
    write_text(experiment.result_file(trial), _lines({**head, "identity": identity, "inputs": inputs, **value}))
    (work / MARK).unlink()  # if the model stays, nothing goes on here
    if not experiment.keep and next(strangers(work, _OWN), None) is None:
        shutil.rmtree(work)


def _taught(experiment: Experiment, trial: Trial) -> dict[str, Any]:
    """Teach and score a trial in its prepared folder; returns what there is to say of it."""
    extension, recipe = experiment.prepare(trial), trial.recipe
    scorer = api.evaluator(
        extension, recipe.benchmark, experiment.progress, intervals=recipe.intervals, beside=recipe.beside
    )
    if scorer is None:
        raise DataError(
            f"{described(recipe.data)} has no held-out images to compare runs on",
            hint="give rows a split test or validation, or name a benchmark in the recipe",
        )
    log = TrialLog(experiment.work(trial) / TASKS)

    def score(polyglot: Polyglot, codes: Sequence[str]) -> dict[str, Any]:
        chosen = codes if scorer.is_final(codes) else _due(extension, trial, codes)
        return scorer(polyglot, chosen) if chosen else {}

    callbacks = Callbacks(
        evaluate=score, task_started=log.started, task_done=log.done,
        log=_steps(extension, lambda done, total: experiment.progress(trial.slug, done, total)),
    )  # fmt: skip
    made = api.run_extension(extension, callbacks=callbacks, progress=experiment.progress)
    manifests = PolyglotFolder(made.folder).manifests()
    return {
        "tasks": [list(task) for task in extension.curriculum.tasks],
        "protocol": scorer.benchmark.protocol,
        "gallery": scorer.benchmark.gallery,
        "text_weights": experiment.polyglot.base.text_weights,
        "training": log.tasks,
        "seconds": log.clock(),
        "packs": {name: {"bytes": each.bytes, "weights": each.parameters} for name, each in manifests.items()},
        "skipped": len(made.skipped),
        "notes": list(made.notes),
        "scores": {task: _brief(scores) for task, scores in made.evaluations.items()},
        "final": list(made.evaluations.values())[-1],
        "environment": environment(),
    }


def _due(extension: Extension, trial: Trial, codes: Sequence[str]) -> Sequence[str]:
    """Of the languages a model has by now, those that the recipe wants scored before the end."""
    known, when = list(extension.start.languages), trial.recipe.evaluate
    if when == "every" or set(codes) <= set(known):
        return codes
    if when == "last":
        return ()
    last = [task for task in extension.curriculum.tasks if set(task) <= set(codes)][-1]
    return list(dict.fromkeys((*known, *last)))


def _steps(extension: Extension, show: Callable[[int, int], None]) -> Callable[[Mapping[str, Any]], None]:
    """A callback that shows the steps of all tasks as one."""
    sizes = extension.task_steps()
    names, counts = list(sizes), list(sizes.values())
    return lambda numbers: show(sum(counts[: names.index(numbers["task"])]) + numbers["step"], sum(counts))


class TrialLog:
    """What each task trained and how long all took, kept on the disk, since a killed run forgets it.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        before: dict[str, Any] = read_json(path) if path.exists() else {"seconds": 0.0, "tasks": {}}
        self.tasks: dict[str, dict[str, Any]] = before["tasks"]
        self._began = time.monotonic() - float(before["seconds"])

    def clock(self) -> float:
        """Seconds of all the trial's lives, up to the last task's end where one was cut short."""
        return round(time.monotonic() - self._began, 2)

    def started(self, name: str, task: TrainingTask, steps: int) -> None:
        """Note a task's size."""
        facts = {key: round(value, 4) for key, value in task.facts.items()}
        self._note(name, {"trainable": task.trainable, "steps": steps, **facts})

    def done(self, name: str, result: FitResult, scores: Mapping[str, Any]) -> None:
        """Note a task's time; of a task that went on after a kill, what it would have taken at the same pace."""
        share = result.steps / max(1, result.steps - result.resumed_at)
        self._note(name, {"seconds": round(result.seconds * share, 2)})

    def _note(self, name: str, facts: Mapping[str, Any]) -> None:
        self.tasks.setdefault(name, {}).update(facts)
        write_json(self._path, {"seconds": self.clock(), "tasks": self.tasks})


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is none."""
    with contextlib.suppress(DataError):
        value = read_json(path)
        return value if isinstance(value, dict) else {}
    return {}


def _is_work(work: Path) -> bool:
    """Whether a folder was made to run a trial in."""
    return set(_read(work / MARK)) == {"identity", "threads"} or set(_read(work / TASKS)) == {"seconds", "tasks"}


def is_result(path: Path) -> bool:
    """Whether a file is some trial's result: its identity is that of the inputs it tells."""
    value = _read(path)
    return "inputs" in value and value.get("identity") == digest(value["inputs"])


def _brief(scores: Mapping[str, Any]) -> dict[str, Any]:
    """R@1 alone, of all images and of the subsets."""

    def r1(part: Mapping[str, Any]) -> dict[str, Any]:
        return {direction: {"r@1": part[direction]["r@1"]} for direction in DIRECTIONS}

    return {
        code: {**r1(part), "subsets": {name: r1(each) for name, each in part["subsets"].items()}}
        for code, part in scores.items()
    }


def _lines(value: Mapping[str, Any]) -> str:
    """JSON with a line a member: a matrix of scores on lines of its own would be thousands."""
    members = (f"{json.dumps(name)}: {to_json(each)}" for name, each in value.items())
    return "{\n" + ",\n".join(members) + "\n}\n"
