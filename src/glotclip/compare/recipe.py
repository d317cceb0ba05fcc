"""What is compared: a recipe of runs, and the trials (a run under one seed) that it stands for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from glotclip.api.config import Languages, TeachingConfig
from glotclip.compare.order import Order
from glotclip.compare.trial import Trial, slug
from glotclip.config import Settings, check_names, read_recipe, settings_from
from glotclip.errors import ConfigError


class RunEntry(Settings):
    """One way to teach: a row of the report."""

    name: str = Field(min_length=1, description="what the report calls it")
    method: str = Field("lexicon", description="as `glotclip extend --method`")
    settings: dict[str, Any] = Field(default_factory=dict, description="what differs from the common settings")
    joint: bool | None = Field(None, description="all languages in one task; by default as the recipe says")
    languages: Languages | None = Field(None, description="by default the recipe's")
    order: Order | None = Field(None, description="by default the recipe's")
    group: str = Field("", description="runs of one group stand together in the report")


class Recipe(TeachingConfig):
    """What a comparison is made of. Paths are relative to the folder in which the command runs."""

    model: str = Field("emoji-clip", description=TeachingConfig.model_fields["model"].description)
    title: str = Field("Comparison", description="of the report")
    languages: Languages = Field(min_length=1, description="what is learnt, one after another")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="each run is made once with each")
    order: Order = Field("given", description="given, paper, random or script")
    order_seed: int | None = Field(None, description="of order: random; by default the trial's own seed")
    evaluate: Literal["every", "own", "last"] = Field(
        "every",
        description="'every': all languages after every task; 'own': a task's languages and the base's after it, all "
        "at the end; 'last': all before and at the end. Forgetting is read off what was measured",
    )
    beside: Languages | None = Field(
        None, description="languages scored beside those that are learnt; by default all that the base knows"
    )
    intervals: int = Field(1000, ge=0, description="bootstrap draws of the final scores; 0: no intervals")
    common: dict[str, Any] = Field(default_factory=dict, description="settings of all runs")
    runs: tuple[RunEntry, ...] = Field(min_length=1)

    def trials(self, *, only: Collection[str] = (), seeds: Sequence[int] = ()) -> list[Trial]:
        """The trials, seed by seed so that a comparison that is cut short has something of every run.

        Args:
            only: names of the runs wanted, or what their files are called; all by default.
            seeds: by default the recipe's.
        """
        wanted = {slug(name) for name in only}
        check_names(sorted(wanted), [slug(run.name) for run in self.runs], where="--only")
        chosen = [run for run in self.runs if not only or slug(run.name) in wanted]
        return [Trial(self, run, seed) for seed in dict.fromkeys(seeds or self.seeds) for run in chosen]


def load_recipe(path: Path) -> Recipe:
    """Read a comparison's recipe.

    Raises:
        ConfigError: for an unknown name ("did you mean"), a wrong value, or two runs of one name.
    """
    values = read_recipe(path)
    where = f"the recipe {path}"
    given = values.get("runs")
    if isinstance(given, Mapping):
        given = [_named(name, value, where) for name, value in given.items()]
    if not isinstance(given, list):
        raise ConfigError(
            f"{where} compares nothing",
            hint="give it runs: a list of {name: …, method: …, settings: …}, or a mapping from names to settings",
        )
    runs = [_run(value, place, where) for place, value in enumerate(given, start=1)]
    recipe = settings_from(Recipe, {**values, "runs": runs}, where=where)
    for place, values in (("common", recipe.common), *((f"run {run.name!r}", run.settings) for run in recipe.runs)):
        if "seed" in values:
            raise ConfigError(f"{place} of {where} sets a seed", hint="seeds are the recipe's: seeds: [0, 1, 2]")
    slugs = [slug(run.name) for run in recipe.runs]
    if twice := sorted({each for each in slugs if slugs.count(each) > 1}):
        raise ConfigError(f"{where} has two runs called {', '.join(twice)}", hint="give every run a name of its own")
    return recipe


def _named(name: Any, value: Any, where: str) -> dict[str, Any]:
    """Make a run of an entry of a mapping: what a run has, and its settings, directly or under ``settings``."""
    if name is False:
        name = "no"  # YAML 1.1's reading of Norwegian
    if not isinstance(value, Mapping | None):
        raise ConfigError(
            f"run {name!r} of {where} is not a mapping of settings", hint="write NAME: {method: lora, rank: 8}"
        )
    value = dict(value or {})
    if "name" in value and str(value["name"]) != str(name):
        raise ConfigError(f"run {name!r} of {where} has a second name", hint="leave the name inside out")
    of_run = {key: value.pop(key) for key in list(value) if key in RunEntry.model_fields}
    nested = of_run.get("settings") or {}
    if not isinstance(nested, Mapping):
        return {**of_run, "name": str(name)}  # told as a wrong value
    if twice := sorted(set(nested) & set(value)):
        raise ConfigError(f"run {name!r} of {where} sets {', '.join(twice)} twice", hint="write each setting once")
    return {**of_run, "name": str(name), "settings": {**nested, **value}}


def _run(value: Any, place: int, where: str) -> RunEntry:
    if not isinstance(value, Mapping):
        raise ConfigError(f"run {place} of {where} is not a mapping", hint="write {name: …, method: …}")
    return settings_from(RunEntry, dict(value), where=f"run {value.get('name', place)!r} of {where}")
