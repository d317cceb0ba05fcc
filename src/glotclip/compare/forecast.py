"""How long a comparison will take, for a dry run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from glotclip import api
from glotclip.compare.cell import Bench
from glotclip.compare.recipe import Cell
from glotclip.training.plan import estimate


@dataclass(frozen=True)
class Forecast:
    """One run's part of a comparison.

    Attributes:
        name: the run's.
        cells: how many of its cells are not finished.
        seconds: what one of them takes.
        trainable: weights that train in its first task; None where finished cells were asked instead.
        measured: whether ``seconds`` is the time of finished cells rather than an estimate.
    """

    name: str
    cells: int
    seconds: float
    trainable: int | None
    measured: bool


def forecast(bench: Bench, cells: Sequence[Cell], done: Sequence[dict[str, Any]]) -> list[Forecast]:
    """Estimate every run that has unfinished cells: from its finished ones, else from a few steps of its first task.

    The first task's time a step stands for the others', and one scoring of one language for all scorings.

    Args:
        bench: what the cells have in common.
        cells: the unfinished ones.
        done: results of finished cells.
    """
    found = []
    places = [run.name for run in cells[0].recipe.runs] if cells else []
    for name in sorted({cell.run.name for cell in cells}, key=places.index):
        own = [cell for cell in cells if cell.run.name == name]
        known = [_taken(value) for value in done if value["name"] == name]
        if known:
            found.append(Forecast(name, len(own), sum(known) / len(known), None, True))
        else:
            seconds, trainable = _measured(bench, own[0])
            found.append(Forecast(name, len(own), seconds, trainable, False))
    return found


def _taken(value: dict[str, Any]) -> float:
    return float(value["seconds"])


def _measured(bench: Bench, cell: Cell) -> tuple[float, int]:
    plan = bench.plan(cell)
    curriculum = plan.curriculum
    first = replace(curriculum, tasks=curriculum.tasks[:1])
    (task,) = estimate(plan.polyglot, first, plan.captions)
    steps = sum(sum(curriculum.steps(each, plan.captions)) for each in curriculum.tasks)
    training = task.seconds * steps / max(1, task.steps)
    return training + scorings(cell, len(curriculum.tasks), curriculum.shared) * _scoring(
        bench, cell, plan
    ), task.trainable


def scorings(cell: Cell, tasks: int, shared: bool) -> int:
    """How many times a language is scored in a cell, where nothing but isolation spares any."""
    languages = len(cell.languages)
    if tasks == 1 or not shared or cell.recipe.evaluate == "last":
        return languages + 1
    if cell.recipe.evaluate == "own":
        return 3 * languages
    return sum(range(1, languages + 2))


def _scoring(bench: Bench, cell: Cell, plan: api.ExtendPlan) -> float:
    """Seconds to score one language; measured once more after a first time that pays for caches."""
    scorer = api.evaluator(
        plan.polyglot, plan.dataset, plan.curriculum, cell.recipe.benchmark or True,
        cache=plan.cache, progress=bench.progress,
    )  # fmt: skip
    start = bench.polyglot
    codes = [code for code in start.languages if scorer is not None and code in scorer.benchmark.captions][:1]
    if scorer is None or not codes:
        return 0.0
    for _ in range(2):
        began = time.monotonic()
        scorer(start, codes)
        scorer.forget()
    return time.monotonic() - began
