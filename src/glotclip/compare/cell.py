"""One cell of a comparison: taught in a folder of its own, and what came of it as one self-describing file.

DIR/cells/NAME-SEED.json      the result; whoever wants to repeat the cell finds everything in it
DIR/work/NAME-SEED/           what an unfinished cell needs to go on, removed when the result is there
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from glotclip import api
from glotclip.compare.recipe import Cell, digest
from glotclip.data.dataset import Dataset, open_dataset
from glotclip.data.digests import DigestIndex
from glotclip.errors import DataError, StorageError
from glotclip.evaluation.retrieval import environment
from glotclip.languages import normalise_all
from glotclip.methods.task import TrainingTask
from glotclip.ownership import discard, strangers
from glotclip.packs.folder import RECORD, PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.scores import DIRECTIONS
from glotclip.storage import read_json, to_json, write_json, write_text
from glotclip.threads import held_at
from glotclip.training.extend import Hooks
from glotclip.training.loop import FitResult

FORMAT = 1
RESULTS, WORK = "cells", "work"
_OWN = ("mark.json", "tasks.json", RECORD)


@dataclass
class Bench:
    """What all cells have in common, opened once.

    Args:
        polyglot: what is extended.
        dataset: what is learnt from.
        folder: of the comparison.
        keep: whether the models stay in ``DIR/work``.
        cache: root of the feature cache.
        progress: called with (what, done, total).
    """

    polyglot: Polyglot
    dataset: Dataset
    folder: Path
    keep: bool = False
    cache: Path | None = None
    progress: api.Progress = lambda what, done, total: None

    @classmethod
    def open(cls, cell: Cell, folder: Path, *, device: str = "auto", base: str | None = None, **more: Any) -> Bench:
        """Open what a cell's recipe names; ``base`` as for :func:`glotclip.load`."""
        return cls(api.load(cell.recipe.model, device=device, base=base), _data(cell), folder, **more)

    def work(self, cell: Cell) -> Path:
        """Where the cell is taught."""
        return self.folder / WORK / cell.slug

    def result_file(self, cell: Cell) -> Path:
        """Where the cell's result lies once there is one."""
        return self.folder / RESULTS / f"{cell.slug}.json"

    def inputs(self, cell: Cell) -> dict[str, Any]:
        """Everything that decides the cell's result, except the version and the number of threads.

        Of data in a folder the name counts alone, of a file its content.

        Raises:
            ConfigError: for settings that the cell's method does not know, or that do not go together.
        """
        base, languages = self.polyglot.base, normalise_all(cell.languages)
        chosen = api.curriculum_of(base, languages, method=cell.run.method, settings=cell.settings, joint=cell.joint)
        settings = {**chosen.method_settings.model_dump(mode="json"), **chosen.train.model_dump(mode="json")}
        translator = {"companions": cell.recipe.translator} if cell.recipe.translator else {}
        return {
            **translator,
            **({"reading": {**cell.recipe.reading}} if cell.recipe.reading else {}),
            "base": base.fingerprint,
            "start": {name: pack.manifest.sha256 for name, pack in self.polyglot.packs.items()},
            "data": _content(cell.recipe.data),
            "benchmark": _content(cell.recipe.benchmark or cell.recipe.data),
            "method": chosen.method.name,
            "settings": settings,
            "precision": chosen.precision,
            "languages": languages,
            "joint": cell.joint,
            "evaluate": cell.recipe.evaluate,
            "intervals": cell.recipe.intervals,
        }

    def finished(self, cell: Cell) -> dict[str, Any] | None:
        """The cell's result if it is there and was made from the same inputs."""
        path = self.result_file(cell)
        if not path.exists():
            return None
        value = read_json(path)
        same = isinstance(value, dict) and value.get("identity") == digest(self.inputs(cell))
        return value if same else None

    def outdated(self, cell: Cell) -> list[str]:
        """Which inputs differ between the cell and the result that lies in its place; empty if there is none."""
        path = self.result_file(cell)
        if not path.exists():
            return []
        before, now = read_json(path).get("inputs", {}), self.inputs(cell)
        flat_before, flat_now = _flat(before), _flat(now)
        return sorted(
            name for name in {*flat_before, *flat_now} if flat_before.get(name, ...) != flat_now.get(name, ...)
        )

    def check_result(self, cell: Cell) -> None:
        """Raise :class:`StorageError` if something lies in the result's place that is no cell's result."""
        path = self.result_file(cell)
        if os.path.lexists(path) and not _is_result(path):
            raise StorageError(
                f"{path} is where a result is to be written, and is none",
                hint="move it elsewhere, or choose another --out",
            )

    def plan(self, cell: Cell) -> api.ExtendPlan:
        """The cell's run, checked and resolved."""
        return api.plan_extension(
            self.polyglot,
            cell.languages,
            data=self.dataset,
            method=cell.run.method,
            out=self.work(cell) / "model",
            settings=cell.settings,
            joint=cell.joint,
            translator=cell.recipe.translator or None,
            cache=self.cache,
            progress=self.progress,
        )

    def run(self, cell: Cell) -> dict[str, Any]:
        """Teach and score one cell, and write its result; what was done before a kill is not done again.

        Raises:
            GlotclipError: any of its kinds; the other cells are not concerned.
            KeyboardInterrupt: after a signal, with the state saved.
        """
        inputs, work = self.inputs(cell), self.work(cell)
        mark: dict[str, Any] = {"identity": digest(inputs), "threads": torch.get_num_threads()}
        begun = _mark(work)
        if isinstance(begun, dict) and begun.get("identity") == mark["identity"]:
            mark["threads"] = begun.get("threads", mark["threads"])
        elif os.path.lexists(work):
            discard(work, _OWN if _is_work(work) else ())
        work.mkdir(parents=True, exist_ok=True)
        write_json(work / "mark.json", mark)
        # Threads change sums in their last bits, so a run goes on with as many as it began with.
        with held_at(mark["threads"]):
            return self._teach(cell, inputs, mark["identity"])

    def _teach(self, cell: Cell, inputs: dict[str, Any], identity: str) -> dict[str, Any]:
        """Teach and score a cell in its prepared folder, and write its result."""
        work = self.work(cell)
        plan = self.plan(cell)
        scorer = api.evaluator(
            plan.polyglot, plan.dataset, plan.curriculum, cell.recipe.benchmark or True,
            cache=plan.cache, progress=self.progress, intervals=cell.recipe.intervals,
        )  # fmt: skip
        if scorer is None:
            raise DataError(
                f"{cell.recipe.data} has no held-out pictures to compare runs on",
                hint="give rows a split test or validation, or name a benchmark in the recipe",
            )
        diary = _Diary(work)

        def score(polyglot: Polyglot, codes: Sequence[str]) -> dict[str, Any]:
            chosen = codes if scorer.is_final(codes) else self._due(cell, plan, codes)
            return scorer(polyglot, chosen) if chosen else {}

        hooks = Hooks(evaluate=score, task_started=diary.started, task_done=diary.done, log=self._steps(plan, cell))
        made = api.run_extension(plan, hooks=hooks, progress=self.progress)
        value = {
            **_head(cell),
            "identity": identity,
            "inputs": inputs,
            "tasks": [list(task) for task in plan.curriculum.tasks],
            "protocol": scorer.benchmark.protocol,
            "gallery": scorer.benchmark.gallery,
            "text_weights": self.polyglot.base.text_weights,
            "training": diary.tasks,
            "seconds": diary.clock(),
            "packs": _packs(made.folder),
            "skipped": len(made.skipped),
            "notes": list(made.notes),
            "scores": {task: _brief(scores) for task, scores in made.evaluations.items()},
            "final": list(made.evaluations.values())[-1],
            "environment": environment(),
        }
        self.check_result(cell)
        write_text(self.result_file(cell), _lines(value))
        (work / "mark.json").unlink()  # if the model stays, nothing goes on here
        if not self.keep and next(strangers(work, _OWN), None) is None:
            shutil.rmtree(work)
        return value

    def _due(self, cell: Cell, plan: api.ExtendPlan, codes: Sequence[str]) -> Sequence[str]:
        """Of the languages a model has by now, those that the recipe wants scored before the end."""
        known, when = list(self.polyglot.languages), cell.recipe.evaluate
        if when == "every" or set(codes) <= set(known):
            return codes
        if when == "last":
            return ()
        last = [task for task in plan.curriculum.tasks if set(task) <= set(codes)][-1]
        return list(dict.fromkeys((*known, *last)))

    def _steps(self, plan: api.ExtendPlan, cell: Cell) -> Any:
        sizes = ["+".join(task) for task in plan.curriculum.tasks]
        counts = [sum(plan.curriculum.steps(task, plan.captions)) for task in plan.curriculum.tasks]

        def log(numbers: Mapping[str, Any]) -> None:
            before = sum(counts[: sizes.index(numbers["task"])])
            self.progress(cell.slug, before + numbers["step"], sum(counts))

        return log


class _Diary:
    """What each task trained and how long all took, kept on the disk, since a killed run forgets it.

    Args:
        work: the cell's folder.
    """

    def __init__(self, work: Path) -> None:
        self._path = work / "tasks.json"
        before: dict[str, Any] = {"seconds": 0.0, "tasks": {}}
        if self._path.exists():
            before = read_json(self._path)
        self.tasks: dict[str, dict[str, Any]] = before["tasks"]
        self._began = time.monotonic() - float(before["seconds"])

    def clock(self) -> float:
        """Seconds of all the cell's lives, up to the last task's end where one was cut short."""
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


def _data(cell: Cell) -> Dataset:
    return open_dataset(cell.recipe.data, **cell.recipe.reading)


def _head(cell: Cell) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": cell.run.name,
        "group": cell.run.group,
        "seed": cell.seed,
        "model": cell.recipe.model,
        "data": cell.recipe.data,
    }


def _content(name: str) -> str:
    """What a name of data stands for: a file's checksum, else the name."""
    path = Path(name)
    if not path.is_file():
        return name
    return f"sha256:{DigestIndex().of(path).hex()}"  # every cell asks, and the file may be large


def _mark(work: Path) -> Any:
    try:
        return read_json(work / "mark.json")
    except DataError:
        return None


def _is_work(work: Path) -> bool:
    """Whether a folder was made to teach a cell in."""
    for name, keys in (("mark.json", {"identity", "threads"}), ("tasks.json", {"seconds", "tasks"})):
        with contextlib.suppress(DataError):
            value = read_json(work / name)
            if isinstance(value, dict) and set(value) == keys:
                return True
    return False


def _is_result(path: Path) -> bool:
    """Whether a file is some cell's result: its identity is that of the inputs it tells."""
    try:
        value = read_json(path)
    except DataError:
        return False
    return isinstance(value, dict) and "inputs" in value and value.get("identity") == digest(value["inputs"])


def _packs(folder: Path) -> dict[str, dict[str, int]]:
    manifests = PolyglotFolder(folder).manifests()
    return {name: {"bytes": each.bytes, "weights": each.parameters} for name, each in manifests.items()}


def _brief(scores: Mapping[str, Any]) -> dict[str, Any]:
    """R@1 alone, of all pictures and of the subsets."""

    def r1(part: Mapping[str, Any]) -> dict[str, Any]:
        return {direction: {"r@1": part[direction]["r@1"]} for direction in DIRECTIONS}

    return {
        code: {**r1(part), "subsets": {name: r1(each) for name, each in part["subsets"].items()}}
        for code, part in scores.items()
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _lines(value: Mapping[str, Any]) -> str:
    """JSON with a line a member: a matrix of scores on lines of its own would be thousands."""
    members = (f"{json.dumps(name)}: {to_json(each)}" for name, each in value.items())
    return "{\n" + ",\n".join(members) + "\n}\n"
