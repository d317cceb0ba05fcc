"""How long a comparison will take, for a dry run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from glotclip import api
from glotclip.compare.experiment import Experiment
from glotclip.compare.trial import Trial
from glotclip.training.estimate import estimate
from glotclip.training.extension import Extension


@dataclass(frozen=True)
class RunEstimate:
    """One run's part of a comparison.

    Attributes:
        name: the run's.
        trials: how many of its trials are not finished.
        seconds: what one of them takes.
        trainable: weights that train in its first task; None where finished trials were asked instead.
        measured: whether ``seconds`` is the time of finished trials rather than an estimate.
    """

    name: str
    trials: int
    seconds: float
    trainable: int | None = None
    measured: bool = False


def estimate_runs(experiment: Experiment, trials: Sequence[Trial]) -> list[RunEstimate]:
    """Estimate every run of these trials: from its finished ones, else from a few steps of its first task.

    The first task's time a step stands for the others', and one scoring of one language for all scorings.
    """
    by_run: dict[str, list[Trial]] = {run.name: [] for run in experiment.recipe.runs}
    for trial in trials:
        by_run[trial.run.name].append(trial)
    done = experiment.results()
    found = []
    for name, own in by_run.items():
        known = [float(value["seconds"]) for value in done if value["name"] == name]
        if own and known:
            found.append(RunEstimate(name, len(own), sum(known) / len(known), measured=True))
        elif own:
            seconds, trainable = _measured(experiment, own[0])
            found.append(RunEstimate(name, len(own), seconds, trainable))
    return found


def _measured(experiment: Experiment, trial: Trial) -> tuple[float, int]:
    extension = experiment.prepare(trial)
    curriculum = extension.curriculum
    first = replace(curriculum, tasks=curriculum.tasks[:1])
    (task,) = estimate(extension.start, first, extension.captions)
    training = task.seconds * sum(extension.task_steps().values()) / max(1, task.steps)
    scoring = scorings(trial, len(curriculum.tasks), curriculum.shared) * _scoring(experiment, trial, extension)
    return training + scoring, task.trainable


def scorings(trial: Trial, tasks: int, shared: bool) -> int:
    """How many times a language is scored in a trial, where nothing but isolation spares any."""
    languages = len(trial.languages)
    if tasks == 1 or not shared or trial.recipe.evaluate == "last":
        return languages + 1
    if trial.recipe.evaluate == "own":
        return 3 * languages
    return sum(range(1, languages + 2))


def _scoring(experiment: Experiment, trial: Trial, extension: Extension) -> float:
    """Seconds to score one language; measured once more after a first time that pays for caches."""
    scorer = api.evaluator(extension, trial.recipe.benchmark, experiment.progress)
    start = experiment.polyglot
    codes = [code for code in start.languages if scorer is not None and code in scorer.benchmark.captions][:1]
    if scorer is None or not codes:
        return 0.0
    for _ in range(2):
        began = time.monotonic()
        scorer(start, codes)
        scorer.forget()
    return time.monotonic() - began
