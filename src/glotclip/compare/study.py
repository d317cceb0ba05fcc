"""A whole comparison: which cells are finished, running the others, and the report over what there is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glotclip.compare.cell import WORK, Bench
from glotclip.compare.pool import run_side_by_side
from glotclip.compare.recipe import Cell, Recipe
from glotclip.errors import GlotclipError
from glotclip.evaluation import comparison, report
from glotclip.ownership import Workplace

RECIPE, KIND = "recipe.json", "comparison"
Ended = Callable[[Cell, str], None]  # a cell, and what went wrong with it: empty if nothing did


@dataclass
class Study:
    """A recipe's cells in a folder.

    Args:
        recipe: what is compared.
        bench: what the cells have in common.
        cells: those wanted now; the report is over all of the recipe's that are finished.
    """

    recipe: Recipe
    bench: Bench
    cells: list[Cell]
    failures: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        recipe: Recipe,
        folder: Path,
        *,
        only: Collection[str] = (),
        seeds: Sequence[int] = (),
        device: str = "auto",
        **more: Any,
    ) -> Study:
        """Open a comparison; ``more`` is of :class:`~glotclip.compare.cell.Bench`.

        Raises:
            ConfigError: for a run that there is none of, or settings that a run's method does not know.
            StorageError: if the folder holds anything that no comparison made.
        """
        cells = recipe.cells(only=only, seeds=seeds)
        inputs = (recipe.model, recipe.data, recipe.images or None, recipe.benchmark or None)
        Workplace(folder, KIND).check((RECIPE, "results.json", *report.PAGES), inputs)
        study = cls(recipe, Bench.open(cells[0], folder, device=device, **more), cells)
        for cell in cells:
            study.bench.inputs(cell)  # a recipe's mistakes are told before anything is done
            study.bench.check_result(cell)
        return study

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return self.bench.folder

    @property
    def workplace(self) -> Workplace:
        """What glotclip made there."""
        return Workplace(self.folder, KIND)

    def unfinished(self) -> list[Cell]:
        """The wanted cells without a result of the same inputs."""
        return [cell for cell in self.cells if self.bench.finished(cell) is None]

    def results(self) -> list[dict[str, Any]]:
        """Results of all finished cells of the recipe and of the cells wanted, run by run."""
        every = {cell.slug: cell for cell in (*self.recipe.cells(), *self.cells)}
        places = [run.name for run in self.recipe.runs]
        cells = sorted(every.values(), key=lambda cell: (places.index(cell.run.name), cell.seed))
        found = (self.bench.finished(cell) for cell in cells)
        return [value for value in found if value is not None]

    def run(
        self,
        cells: Sequence[Cell],
        *,
        processes: int = 1,
        command: Callable[[Cell], Sequence[str]] | None = None,
        ended: Ended = lambda cell, fault: None,
    ) -> dict[str, str]:
        """Run cells and return what went wrong, by cell; the others are run in any case.

        Args:
            cells: the unfinished ones.
            processes: how many side by side; one runs in this process.
            command: of a child that runs a cell: arguments after the interpreter.
            ended: called after each.
        """
        self.failures = {}

        def note(cell: Cell, fault: str) -> None:
            if not fault and self.bench.finished(cell) is None:
                fault = "its process ended well, but its result is of other inputs: was the data changed meanwhile?"
            if fault:
                self.failures[cell.slug] = fault
            ended(cell, fault)

        self.workplace.claim()
        self.workplace.write_json(RECIPE, self.recipe.model_dump(mode="json", exclude_defaults=True))
        if processes > 1 and command is not None:
            for cell in cells:
                self.workplace.claim_log(f"{WORK}/{cell.slug}.log")
            run_side_by_side(cells, command, self.folder / WORK, processes, note)
        else:
            for cell in cells:
                note(cell, self._run_here(cell))
        if not self.failures and not self.bench.keep:
            work = self.folder / WORK
            if work.is_dir() and not any(work.iterdir()):
                work.rmdir()
        return self.failures

    def _run_here(self, cell: Cell) -> str:
        try:
            self.bench.run(cell)
        except GlotclipError as error:
            return f"{error.message} → {error.hint}"
        except Exception as error:  # noqa: BLE001 -- one cell's fault is no reason to lose the others
            return f"unexpected {type(error).__name__}: {error}"
        return ""

    def write_report(self) -> dict[str, Any]:
        """Write ``results.json``, ``report.md`` and ``report.html`` over the finished cells; returns the first."""
        done = self.results()
        missing = [cell.slug for cell in self.cells if self.bench.finished(cell) is None]
        value = {
            **comparison.results(done),
            "title": self.recipe.title,
            "recipe": self.recipe.model_dump(mode="json"),
            "missing": missing,
            "failures": self.failures,
        }
        self.workplace.write_json("results.json", value)
        facts = {
            "languages": self.recipe.languages,
            "seeds": self.recipe.seeds,
            "order": self.recipe.order,
            "common settings": ", ".join(f"{name} {value}" for name, value in self.recipe.common.items()) or "none",
        } | {f"run {run.name}": _said(run.method, run.settings) for run in self.recipe.runs}
        page = comparison.report(done, title=self.recipe.title, missing=missing, settings=facts)
        report.write(page, self.folder)
        return value


def _said(method: str, settings: dict[str, Any]) -> str:
    return ", ".join([method, *(f"{name} {value}" for name, value in settings.items())])
