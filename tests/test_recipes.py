"""Every recipe is one that the settings accept."""

from __future__ import annotations

from pathlib import Path

import pytest

from glotclip import api
from glotclip.compare.recipe import load_recipe
from glotclip.config import read_recipe, settings_from
from glotclip.methods.method import method_named
from glotclip.models.dual_encoder import DualEncoder

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_resolves_and_says_its_command(recipe: Path, base: DualEncoder) -> None:
    values = read_recipe(recipe)
    head = recipe.read_text(encoding="utf-8").split("\n\n")[0]
    assert all(word in head for word in ("command", "hardware", "score"))
    if "runs" in values:
        for cell in load_recipe(recipe).cells():
            assert cell.languages
            api.curriculum_of(base, cell.languages, method=cell.run.method, settings=cell.settings, joint=cell.joint)
    elif "method" in values:
        method, loop = api.resolve_settings(method_named(values["method"]), base, recipe, {})
        assert loop.batch_size == values["batch_size"]
        assert method.isolation == values["isolation"]
    else:
        from glotclip.training.base import BaseSettings

        assert settings_from(BaseSettings, values, where="the recipe").steps == values["steps"]
