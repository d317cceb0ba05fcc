"""Several runs side by side: the figures of each trial, their mean and spread over seeds, and the report.

A *trial* is what :mod:`glotclip.compare.run` writes: one run under one seed, as JSON. All scores are R@1 in percent.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from glotclip.evaluation import metrics
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.plots import Curves, HeatMap
from glotclip.evaluation.report import AVERAGE, Report, Section, flat, on_gallery
from glotclip.evaluation.tables import Cell, Table
from glotclip.scores import DIRECTIONS, REFERENCE

FORMAT = 1
BOTH = "mean"
SIDES: Mapping[str, tuple[str, ...]] = {BOTH: DIRECTIONS, "T→I": DIRECTIONS[:1], "I→T": DIRECTIONS[1:]}
Numbers = dict[str, float | None]


# --- the figures -------------------------------------------------------------------------------------------------


def matrix(trial: Mapping[str, Any], side: str = BOTH, subset: str | None = None) -> AccuracyMatrix:
    """Score of every language after every task of a trial."""
    return AccuracyMatrix.of(trial["scores"], directions=SIDES[side], subset=subset, tasks=trial["tasks"])


def numbers(trial: Mapping[str, Any]) -> Numbers:
    """All figures of one trial by name, such as ``average (T→I)``; None where it was not measured.

    ``average`` is over the languages known at the end, the base's own included, as in CLL-CLIP; ``learnt`` over
    those that the run taught, of a multilingual base those that it went on with.
    """
    found: Numbers = {}
    for side in SIDES:
        found |= {
            _named(name, side): value for name, value in _of_matrix(matrix(trial, side), trial["tasks"]).items()
        }
        taught = {code: each for code, each in trial["final"].items() if any(code in task for task in trial["tasks"])}
        for whose, final in (("", trial["final"]), ("learnt ", taught)):
            low, high = _interval(final, SIDES[side])
            found |= {_named(f"{whose}interval low", side): low, _named(f"{whose}interval high", side): high}
    for subset in subsets(trial):
        whole = matrix(trial, subset=subset)
        found |= {_named(subset, BOTH): whole.summary()["average"]}
    return found | _costs(trial)


def _of_matrix(whole: AccuracyMatrix, tasks: Sequence[Sequence[str]]) -> Numbers:
    summary, final = whole.summary(), dict(whole.rows[-1])
    went_on = (code for task in tasks for code in task if code != REFERENCE)
    taught = [final[code] for code in whole.taught or went_on if code in final]
    found: Numbers = {
        "average": summary["average"],
        "learnt": statistics.mean(taught) if taught else None,
        "learning accuracy": summary["learning_accuracy"],
        "forgetting": summary["forgetting"],
        f"{REFERENCE} before": whole.rows[0].get(REFERENCE),
        f"{REFERENCE} after": final.get(REFERENCE),
        f"{REFERENCE} forgetting": summary.get(f"forgetting_{REFERENCE}"),
    }
    if final:
        found |= {name.replace("_", " "): value for name, value in metrics.disparity(final, REFERENCE).items()}
    return found


def _interval(final: Mapping[str, Any], directions: Sequence[str]) -> tuple[float | None, float | None]:
    """Bounds of the average over some languages: the means of the languages' bounds.

    The languages' queries show the same images, so their errors go together; were they one, this would be exact,
    otherwise it is too wide, never too narrow (a mean's deviation is at most the mean of the deviations).
    """
    bounds = [
        each[direction]["ci95"]["r@1"]
        for each in final.values()
        for direction in directions
        if "ci95" in each[direction]
    ]
    if not bounds or len(bounds) < len(final) * len(directions):
        return None, None
    low, high = np.mean(np.array(bounds), axis=0)
    return float(low), float(high)


def _costs(trial: Mapping[str, Any]) -> Numbers:
    tasks = list(trial["training"].values())
    weights = [task["trainable"] for task in tasks if "trainable" in task]
    seconds = [task["seconds"] for task in tasks if "seconds" in task]
    size = sum(pack["bytes"] for pack in trial["packs"].values())
    languages = sum(len(task) for task in trial["tasks"])
    trainable = statistics.mean(weights) if weights else None
    return {
        "trainable weights": trainable,
        "share of the tower": None if trainable is None else 100 * trainable / trial["text_weights"],
        "packs, MB": size / 1e6,
        "MB a language": size / 1e6 / languages,
        "seconds of training": sum(seconds) if len(seconds) == len(trial["tasks"]) else None,
        "seconds in all": trial["seconds"],
    }


def subsets(trial: Mapping[str, Any]) -> list[str]:
    """Names of the benchmark's subsets."""
    return list(dict.fromkeys(name for each in trial["final"].values() for name in each["subsets"]))


def _named(name: str, side: str) -> str:
    return name if side == BOTH else f"{name} ({side})"


def spread(values: Sequence[float | None]) -> dict[str, Any] | None:
    """Mean and standard deviation (of a sample) over seeds; None unless every seed has a value."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    deviation = statistics.stdev(known) if len(known) > 1 else None
    return {"mean": statistics.mean(known), "deviation": deviation, "values": known}


def results(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of all runs, as JSON: mean, deviation and values over seeds.

    Args:
        trials: finished trials; those of one ``name`` are seeds of one run.
    """
    runs = []
    for name, own in _by_run(trials).items():
        each = [numbers(trial) for trial in own]
        names = list(dict.fromkeys(key for found in each for key in found))
        runs.append(
            {
                "name": name,
                "group": own[0]["group"],
                "method": own[0]["inputs"]["method"],
                "seeds": [trial["seed"] for trial in own],
                "numbers": {key: spread([found.get(key) for found in each]) for key in names},
            }
        )
    return {"format": FORMAT, "runs": runs}


def _by_run(trials: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Trials by run, runs of a group together, in the order in which they come first."""
    groups = list(dict.fromkeys(trial["group"] for trial in trials))
    runs: dict[str, list[Mapping[str, Any]]] = {}
    for trial in sorted(trials, key=lambda trial: groups.index(trial["group"])):
        runs.setdefault(trial["name"], []).append(trial)
    return runs


# --- the report --------------------------------------------------------------------------------------------------

HEADLINE = (
    "average", "average (T→I)", "average (I→T)", "95 %", "learnt", "learnt 95 %", "learning accuracy", "forgetting",
    f"{REFERENCE} before", f"{REFERENCE} after",
)  # fmt: skip
DISPARITY = ("standard deviation", "range", "mean absolute gap", "worst gap")
SCORES_NOTE = (
    "R@1 in percent, mean of both directions unless a column says text to image (T→I) or image to text (I→T); mean ± "
    "standard deviation over seeds. Average: over all languages at the end, the base's own included; learnt: over "
    "those that were taught. 95 %: bootstrap over images, averaged over languages and seeds, rather too wide "
    "than too narrow. Learning accuracy: each language right after it was learnt. Forgetting: best earlier score "
    "minus the last. A dash: not measured."
)
DISPARITY_NOTE = (
    "Of the final R@1 over languages: standard deviation; best minus worst; mean absolute gap to English; the worst "
    "gap to English. In points, 0 is equality."
)
COST_NOTE = (
    "Trainable weights: the mean over tasks, and their share of the text tower. Seconds: all tasks of a trial, "
    "on the machine named below; in all: evaluation included."
)
PAPER_NOTE = (
    "AR / F / F_en as CLL-CLIP's tables have them (its §4.5): final average, forgetting over the languages learnt "
    "before the last, and what English lost; means over seeds."
)


def report(
    trials: Sequence[Mapping[str, Any]],
    *,
    title: str = "Comparison",
    missing: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> Report:
    """Build the report of a comparison.

    Args:
        trials: finished trials.
        title: of the page.
        missing: names of the trials that are not finished, which the page says.
        settings: shown at the end, such as the recipe.
    """
    if not trials:
        return Report(title, (), "No trial is finished yet.")
    found, first = results(trials)["runs"], trials[0]
    # Trials made before the gallery was kept do not say it.
    gallery = " / ".join(dict.fromkeys(trial["gallery"] for trial in trials if trial.get("gallery")))
    matrices = {name: [matrix(trial) for trial in own] for name, own in _by_run(trials).items()}
    protocols = " / ".join(dict.fromkeys(trial["protocol"] for trial in trials))
    summary = f"{first['model']} learning from {first['data']}. {protocols}"
    if missing:
        summary += f" Not finished: {', '.join(missing)}."
    named = dict.fromkeys(name for trial in trials for name in subsets(trial))
    columns = [*HEADLINE[:6], *named, *HEADLINE[6:]]
    apart = [_named(name, side) for side in SIDES for name in DISPARITY]
    sections = [
        Section(
            "Scores",
            (
                _table(found, columns, title=on_gallery("Scores", gallery), note=SCORES_NOTE),
                _table(found, apart, title=on_gallery("Disparity between languages", gallery), note=DISPARITY_NOTE),
            ),
        ),
        Section("Costs", (_table(found, list(_costs(first)), note=COST_NOTE, digits=2),)),
        Section("In the paper's form", (_paper(found),), f"{on_gallery('Scores', gallery)}. {PAPER_NOTE}"),
        Section("Languages", tuple(_maps(matrices)), f"{on_gallery('Scores', gallery)}."),
    ]
    if curves := _curves(matrices):
        said = f"{on_gallery('Scores', gallery)}: means over seeds; in another order, other languages."
        sections.insert(3, Section("After each task", curves, said))
    facts = Section("Made with", (Table(("name", "value"), tuple(_facts(trials, settings or {}))),))
    return Report(title, (*sections, facts), summary)


def _table(
    found: Sequence[Mapping[str, Any]], columns: Sequence[str], *, title: str = "", note: str = "", digits: int = 1
) -> Table:
    rows: list[dict[str, Cell]] = []
    for run in found:
        row: dict[str, Cell] = {"run": run["name"]}
        for column in columns:
            row[column] = _cell(run["numbers"], column, digits)
        rows.append({**row, "seeds": len(run["seeds"])})
    used = [column for column in ("run", *columns, "seeds") if any(row[column] is not None for row in rows)]
    return Table.of([{column: row[column] for column in used} for row in rows], title=title, note=note, digits=digits)


def _cell(found: Mapping[str, Any], column: str, digits: int) -> Cell:
    """``31.2 ± 0.4``; an interval as ``30.1–32.3``; a count of weights in full."""
    if column.endswith("95 %"):
        whose = column.removesuffix("95 %")
        low, high = found.get(f"{whose}interval low"), found.get(f"{whose}interval high")
        return None if low is None or high is None else f"{low['mean']:.1f}–{high['mean']:.1f}"
    value = found.get(column)
    if value is None:
        return None
    mean, deviation = value["mean"], value["deviation"]
    if mean >= 10_000:
        return f"{mean:,.0f}"
    if not deviation:  # one seed, or what no seed can change
        return float(mean)
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"


def _paper(found: Sequence[Mapping[str, Any]]) -> Table:
    def cell(run: Mapping[str, Any], side: str) -> str:
        keys = ("average", "forgetting", f"{REFERENCE} forgetting")
        values = [run["numbers"].get(_named(key, side)) for key in keys]
        return " / ".join("–" if value is None else f"{value['mean'] + 0.0:.1f}" for value in values)

    return Table.of([{"method": run["name"], **{s: cell(run, s) for s in ("I→T", "T→I")}} for run in found])


def _curves(runs: Mapping[str, Sequence[AccuracyMatrix]]) -> tuple[Curves, ...]:
    """The average, English, and forgetting after each task, of the runs that have the most tasks."""
    steps = max(each.last for own in runs.values() for each in own)
    if steps < 2:
        return ()  # a run of one joint task is a point, not a line
    labels = {each.labels for own in runs.values() for each in own if each.last == steps}
    names = next(iter(labels)) if len(labels) == 1 else tuple(str(i) for i in range(steps + 1))
    measures: dict[str, Callable[[AccuracyMatrix, int], float | None]] = {
        AVERAGE: lambda each, i: each.summary(i)["average"],
        "Forgetting": lambda each, i: each.summary(i)["forgetting"],
        "English": lambda each, i: each.rows[i].get(REFERENCE),
    }
    return tuple(
        Curves(
            title,
            names,
            {
                name: [_mean(measure(each, i) for each in own) for i in range(steps + 1)]
                for name, own in runs.items()
                if own[0].last == steps
            },
        )
        for title, measure in measures.items()
    )


def _mean(values: Iterable[float | None]) -> float | None:
    found = spread(list(values))
    return None if found is None else found["mean"]


def _maps(runs: Mapping[str, Sequence[AccuracyMatrix]]) -> list[HeatMap]:
    """Final R@1 of every language under every run, and how much of it was lost since it was learnt."""
    codes = tuple(dict.fromkeys(code for own in runs.values() for each in own for code in each.rows[-1]))

    def rows(value: Callable[[AccuracyMatrix, str], float | None]) -> tuple[tuple[float | None, ...], ...]:
        return tuple(tuple(_mean(value(each, code) for each in own) for code in codes) for own in runs.values())

    final = rows(AccuracyMatrix.final)
    maps = [HeatMap("Final R@1 of each language", tuple(runs), codes, final, head="run")]
    forgotten = rows(AccuracyMatrix.lost)
    if any(value is not None for row in forgotten for value in row):
        note = "R@1 right after learning minus R@1 at the end, in points."
        maps.append(HeatMap("Lost since it was learnt", tuple(runs), codes, forgotten, note, head="run"))
    return maps


def _facts(trials: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> list[tuple[Cell, ...]]:
    """Machine, versions and dates of the trials, and what the recipe says, as rows."""
    rows: list[tuple[Cell, ...]] = []
    for key in trials[0]["environment"]:
        seen = sorted({str(trial["environment"].get(key)) for trial in trials})
        rows.append((key, f"{seen[0]} … {seen[-1]}" if key == "date" and len(seen) > 1 else ", ".join(seen)))
    return rows + flat(settings)
