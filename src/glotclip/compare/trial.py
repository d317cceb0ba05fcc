"""One trial of a comparison: a run of the recipe under one seed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glotclip.api.config import ExtendConfig
from glotclip.compare.order import ordered
from glotclip.data.digests import DigestIndex
from glotclip.data.mixture import Sources, parts_of
from glotclip.data.view import View

if TYPE_CHECKING:
    from glotclip.compare.recipe import Recipe, RunEntry


@dataclass(frozen=True)
class Trial:
    """A run under one seed."""

    recipe: Recipe
    run: RunEntry
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
    def settings(self) -> dict[str, Any]:
        """The settings given: those of all runs, then the run's own, then the seed.

        Each seed has few shots of its own, unless the recipe fixes them: which images they are decides more than how
        weights are drawn.
        """
        given = {**self.recipe.common, **self.run.settings, "seed": self.seed}
        return {"shots_seed": View.shots_seed + self.seed, **given} if given.get("shots") else given

    def config(self, **more: Any) -> ExtendConfig:
        """What ``extend`` would be told; ``more`` says where it writes, and what is open already."""
        options: dict[str, Any] = {
            "model": self.recipe.model,
            "data": self.recipe.data,
            "langs": self.languages,
            "method": self.run.method,
            "settings": self.settings,
            "joint": self.recipe.joint if self.run.joint is None else self.run.joint,
            "translator": self.recipe.translator,
            "out": slug(self.run.name),
        }
        return ExtendConfig(**{**options, **more})

    def data_facts(self) -> dict[str, Any]:
        """What decides the trial's result besides model and settings: of files their checksums, else names."""
        recipe = self.recipe
        other = recipe.benchmark if isinstance(recipe.benchmark, str | Path) else recipe.data
        return {
            **({"translator": recipe.translator} if recipe.translator else {}),
            **({"reading": {**recipe.reading}} if recipe.reading else {}),
            **({} if recipe.beside is None else {"beside": list(recipe.beside)}),
            "data": _contents(recipe.data),
            "benchmark": _contents(other),
            "languages": list(self.languages),
            "evaluate": recipe.evaluate,
            "intervals": recipe.intervals,
        }


def slug(name: str) -> str:
    """A name as a file may be called: ``MLA + TEIR`` → ``mla-teir``."""
    return re.sub(r"[^\w]+", "-", name.lower()).strip("-") or "run"


def _contents(data: Sources) -> str:
    """What data stands for, with the weights of several sources."""
    parts = parts_of(data)
    if len(parts) == 1:
        return _content(str(parts[0][0]))
    return " + ".join(f"{_content(str(name))}={weight:g}" for name, weight in parts)


def _content(name: str) -> str:
    """What a name of data stands for: a file's checksum, else the name."""
    path = Path(name)
    if not path.is_file():
        return name
    return f"sha256:{DigestIndex().of(path).hex()}"  # every trial asks, and the file may be large
