"""What is compared: a recipe of runs, and the cells (a run under one seed) that it stands for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field, field_validator

from glotclip.config import Settings, check_names, read_recipe, settings_from
from glotclip.data.reading import HOLD_OUT, MAX_SKIPPED, Reading
from glotclip.data.view import View
from glotclip.errors import ConfigError
from glotclip.languages import normalise_all
from glotclip.training.order import Order, ordered

_SPLIT = re.compile(r"[,\s]+")


def _codes(value: Any) -> Any:
    """Accept ``de, fr`` for a list, and take YAML 1.1's reading of ``no`` (Norwegian) back."""
    if isinstance(value, str):
        value = [code for code in _SPLIT.split(value) if code]
    if isinstance(value, list | tuple):
        return tuple(normalise_all("no" if code is False else str(code) for code in value))
    return value


class Run(Settings):
    """One way to teach: a row of the report."""

    name: str = Field(min_length=1, description="what the report calls it")
    method: str = Field("lexicon", description="as `glotclip extend --method`")
    settings: dict[str, Any] = Field(default_factory=dict, description="what differs from the common settings")
    joint: bool | None = Field(None, description="all languages in one task; by default as the recipe says")
    languages: tuple[str, ...] | None = Field(None, description="by default the recipe's")
    order: Order | None = Field(None, description="by default the recipe's")
    group: str = Field("", description="runs of one group stand together in the report")

    _languages = field_validator("languages", mode="before")(_codes)


class Recipe(Settings):
    """What a comparison is made of. Paths are relative to the folder in which the command runs."""

    title: str = Field("Comparison", description="of the report")
    model: str = Field("emoji-clip", description="what is extended, as `glotclip extend MODEL`")
    data: str = Field("emoji", description="captions to learn from, as --data")
    images: str = Field("", description="the pictures, where they lie elsewhere, as --images")
    default_lang: str = Field("", description="language of captions that do not say theirs, as --default-lang")
    encoding: str = Field("", description="of caption files, as --encoding")
    max_skipped: float = Field(MAX_SKIPPED, ge=0, le=1, description="share of unusable rows, as --max-skipped")
    hold_out: float = Field(HOLD_OUT, ge=0, le=1, description="of data that does not say its splits, as --hold-out")
    benchmark: str = Field("", description="other held-out rows than the data's own: a dataset's name or path")
    translator: str = Field("", description="translation engine for text and partner, as --translator")
    languages: tuple[str, ...] = Field(min_length=1, description="what is learnt, one after another")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="each run is made once with each")
    joint: bool = Field(False, description="all languages in one task")
    order: Order = Field("given", description="given, paper, random or script")
    order_seed: int | None = Field(None, description="of order: random; by default the cell's own seed")
    evaluate: Literal["every", "own", "last"] = Field(
        "every",
        description="'every': all languages after every task; 'own': a task's languages and the base's after it, all "
        "at the end; 'last': all before and at the end. Forgetting is read off what was measured",
    )
    intervals: int = Field(1000, ge=0, description="bootstrap draws of the final scores; 0: no intervals")
    common: dict[str, Any] = Field(default_factory=dict, description="settings of all runs")
    runs: tuple[Run, ...] = Field(min_length=1)

    _languages = field_validator("languages", mode="before")(_codes)

    @property
    def reading(self) -> Reading:
        """How the data is read, as far as that differs from the usual."""
        given = self.model_dump(include=set(Reading.__optional_keys__), exclude_defaults=True)
        return cast(Reading, given)

    def cells(self, *, only: Collection[str] = (), seeds: Sequence[int] = ()) -> list[Cell]:
        """The cells, seed by seed so that a comparison that is cut short has something of every run.

        Args:
            only: names of the runs wanted, or what their files are called; all by default.
            seeds: by default the recipe's.
        """
        wanted = {slug(name) for name in only}
        check_names(sorted(wanted), [slug(run.name) for run in self.runs], where="--only")
        chosen = [run for run in self.runs if not only or slug(run.name) in wanted]
        return [Cell(self, run, seed) for seed in dict.fromkeys(seeds or self.seeds) for run in chosen]


@dataclass(frozen=True)
class Cell:
    """A run under one seed."""

    recipe: Recipe
    run: Run
    seed: int

    @property
    def slug(self) -> str:
        """What its files are called."""
        return f"{slug(self.run.name)}-{self.seed}"

    @property
    def languages(self) -> tuple[str, ...]:
        """What is learnt, in order."""
        recipe = self.recipe
        seed = self.seed if recipe.order_seed is None else recipe.order_seed
        return ordered(self.run.languages or recipe.languages, self.run.order or recipe.order, seed=seed)

    @property
    def joint(self) -> bool:
        """Whether all languages are one task."""
        return self.recipe.joint if self.run.joint is None else self.run.joint

    @property
    def settings(self) -> dict[str, Any]:
        """The settings given: those of all runs, then the run's own, then the seed.

        Each seed has few shots of its own, unless the recipe fixes them: which pictures they are decides more than
        how weights are drawn.
        """
        given = {**self.recipe.common, **self.run.settings, "seed": self.seed}
        return {"shots_seed": View.shots_seed + self.seed, **given} if given.get("shots") else given


def slug(name: str) -> str:
    """A name as a file may be called: ``MLA + TEIR`` → ``mla-teir``."""
    return re.sub(r"[^\w]+", "-", name.lower()).strip("-") or "run"


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
    of_run = {key: value.pop(key) for key in list(value) if key in Run.model_fields}
    nested = of_run.get("settings") or {}
    if not isinstance(nested, Mapping):
        return {**of_run, "name": str(name)}  # told as a wrong value
    if twice := sorted(set(nested) & set(value)):
        raise ConfigError(f"run {name!r} of {where} sets {', '.join(twice)} twice", hint="write each setting once")
    return {**of_run, "name": str(name), "settings": {**nested, **value}}


def _run(value: Any, place: int, where: str) -> Run:
    if not isinstance(value, Mapping):
        raise ConfigError(f"run {place} of {where} is not a mapping", hint="write {name: …, method: …}")
    return settings_from(Run, dict(value), where=f"run {value.get('name', place)!r} of {where}")


def digest(value: Any) -> str:
    """Hash JSON: 32 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
