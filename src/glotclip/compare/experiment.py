"""A whole comparison: which trials are finished, running the others, and the report over what there is."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glotclip import api
from glotclip.compare.pool import run_side_by_side
from glotclip.compare.recipe import Recipe
from glotclip.compare.run import WORK, is_result, run_trial
from glotclip.compare.trial import Trial
from glotclip.config import digest
from glotclip.data.dataset import Dataset
from glotclip.data.mixture import names_of, open_data
from glotclip.errors import GlotclipError, StorageError
from glotclip.evaluation import comparison, report
from glotclip.ownership import Workplace
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import read_json
from glotclip.training.extension import Extension

RECIPE, KIND, RESULTS = "recipe.json", "comparison", "trials"


@dataclass
class Experiment:
    """A recipe's trials in a folder.

    Args:
        recipe: what is compared.
        trials: those wanted now; the report is over all of the recipe's that are finished.
        folder: where everything is written.
        polyglot: what every trial extends.
        dataset: what every trial learns from.
        keep: whether the models stay in ``folder/work``.
        cache: root of the feature cache.
        progress: called with (what, done, total).
        failures: what went wrong in the last run, by trial.
    """

    recipe: Recipe
    trials: list[Trial]
    folder: Path
    polyglot: Polyglot
    dataset: Dataset
    keep: bool = False
    cache: Path | None = None
    progress: api.Progress = api.silent
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
        base: str | None = None,
        **more: Any,
    ) -> Experiment:
        """Open a comparison.

        Args:
            recipe: what is compared.
            folder: where it is written.
            only: names of the runs wanted, as :meth:`Recipe.trials` takes them.
            seeds: likewise.
            device: as for :func:`glotclip.load`.
            base: likewise.
            more: further fields.

        Raises:
            ConfigError: for a run that there is none of, or settings that a run's method does not know.
            StorageError: if the folder holds anything that no comparison made.
        """
        trials, model = recipe.trials(only=only, seeds=seeds), str(recipe.model)
        benchmark = recipe.benchmark if isinstance(recipe.benchmark, str | Path) else None
        Workplace(folder, KIND).check(
            (RECIPE, "results.json", *report.PAGES), (model, *names_of(recipe.data), recipe.images, benchmark)
        )
        polyglot, dataset = api.load(model, device=device, base=base), open_data(recipe.data, **recipe.reading)
        experiment = cls(recipe, trials, folder, polyglot, dataset, **more)
        for trial in trials:
            experiment.inputs(trial)  # a recipe's mistakes are told before anything is done
            path = experiment.result_file(trial)
            if os.path.lexists(path) and not is_result(path):
                raise StorageError(
                    f"{path} is where a result is to be written, and is none",
                    hint="move it elsewhere, or choose another --out",
                )
        return experiment

    @property
    def workplace(self) -> Workplace:
        """What glotclip made in the folder."""
        return Workplace(self.folder, KIND)

    # --- trials ------------------------------------------------------

    def result_file(self, trial: Trial) -> Path:
        """Where a trial's result lies once there is one."""
        return self.folder / RESULTS / f"{trial.slug}.json"

    def work(self, trial: Trial) -> Path:
        """Where a trial is run."""
        return self.folder / WORK / trial.slug

    def prepare(self, trial: Trial) -> Extension:
        """The trial's run, checked and resolved."""
        config = trial.config(
            model=self.polyglot, data=self.dataset, out=self.work(trial) / "model", cache=self.cache
        )
        return api.prepare_extension(config, self.progress)

    def inputs(self, trial: Trial) -> dict[str, Any]:
        """Everything that decides a trial's result, except the version and the number of threads.

        Raises:
            ConfigError: for settings that the trial's method does not know, or that do not go together.
        """
        config = trial.config()
        chosen = api.curriculum_of(self.polyglot.base, config)
        return {
            **trial.data_facts(),
            "base": self.polyglot.base.fingerprint,
            "start": {name: pack.manifest.sha256 for name, pack in self.polyglot.packs.items()},
            "method": chosen.method.name,
            "settings": chosen.settings(),
            "precision": chosen.precision,
            "joint": config.joint,
        }

    def finished(self, trial: Trial) -> dict[str, Any] | None:
        """The trial's result if it is there and was made from the same inputs."""
        path = self.result_file(trial)
        value = read_json(path) if path.exists() else None
        same = isinstance(value, dict) and value.get("identity") == digest(self.inputs(trial))
        return value if same else None

    def outdated(self, trial: Trial) -> list[str]:
        """Which inputs differ between a trial and the result that lies in its place; empty if there is none."""
        path = self.result_file(trial)
        if not path.exists():
            return []
        before, now = _flat(read_json(path).get("inputs", {})), _flat(self.inputs(trial))
        return sorted(name for name in {*before, *now} if before.get(name, ...) != now.get(name, ...))

    def unfinished(self) -> list[Trial]:
        """The wanted trials without a result of the same inputs."""
        return [trial for trial in self.trials if self.finished(trial) is None]

    def results(self) -> list[dict[str, Any]]:
        """Results of all finished trials of the recipe and of those wanted, run by run."""
        every = {trial.slug: trial for trial in (*self.recipe.trials(), *self.trials)}
        places = [run.name for run in self.recipe.runs]
        trials = sorted(every.values(), key=lambda trial: (places.index(trial.run.name), trial.seed))
        found = (self.finished(trial) for trial in trials)
        return [value for value in found if value is not None]

    # --- running and reporting ---------------------------------------

    def run(
        self,
        trials: Sequence[Trial],
        *,
        processes: int = 1,
        command: Callable[[Trial], Sequence[str]] | None = None,
        ended: Callable[[Trial, str], None] = lambda trial, fault: None,
    ) -> dict[str, str]:
        """Run trials and return what went wrong, by trial; the others are run in any case.

        Args:
            trials: the unfinished ones.
            processes: how many side by side; one runs in this process.
            command: of a child that runs a trial: arguments after the interpreter.
            ended: called after each, with what went wrong: empty if nothing did.
        """
        self.failures = {}

        def note(trial: Trial, fault: str) -> None:
            if not fault and self.finished(trial) is None:
                fault = "its process ended well, but its result is of other inputs: was the data changed meanwhile?"
            if fault:
                self.failures[trial.slug] = fault
            ended(trial, fault)

        self.workplace.claim()
        self.workplace.write_json(RECIPE, self.recipe.model_dump(mode="json", exclude_defaults=True))
        work = self.folder / WORK
        if processes > 1 and command is not None:
            for trial in trials:
                self.workplace.claim_log(f"{WORK}/{trial.slug}.log")
            run_side_by_side(trials, command, work, processes, note)
        else:
            for trial in trials:
                note(trial, self._run_here(trial))
        if not self.failures and not self.keep and work.is_dir() and not any(work.iterdir()):
            work.rmdir()
        return self.failures

    def _run_here(self, trial: Trial) -> str:
        try:
            run_trial(self, trial)
        except GlotclipError as error:
            return f"{error.message} → {error.hint}"
        except Exception as error:  # noqa: BLE001 -- one trial's fault is no reason to lose the others
            return f"unexpected {type(error).__name__}: {error}"
        return ""

    def write_report(self) -> dict[str, Any]:
        """Write ``results.json``, ``report.md`` and ``report.html`` over the finished trials; returns the first."""
        done, recipe = self.results(), self.recipe
        missing = [trial.slug for trial in self.unfinished()]
        value = {
            **comparison.results(done),
            "title": recipe.title,
            "recipe": recipe.model_dump(mode="json"),
            "missing": missing,
            "failures": self.failures,
        }
        self.workplace.write_json("results.json", value)
        facts = {
            "languages": recipe.languages,
            "seeds": recipe.seeds,
            "order": recipe.order,
            "common settings": _listed(recipe.common) or "none",
        } | {f"run {run.name}": ", ".join(filter(None, (run.method, _listed(run.settings)))) for run in recipe.runs}
        page = comparison.report(done, title=recipe.title, missing=missing, settings=facts)
        report.write(page, self.folder)
        return value


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
