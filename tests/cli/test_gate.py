"""``extend --max-forgetting``: a real run that ruins English is refused, and the folder keeps every byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

pytestmark = pytest.mark.slow

#: Steps so large that every text ends at one point: English falls to chance.
RUIN = ("--set=isolation=shared", "--set=teir=false", "--set=lr=1.0", "--set=steps=10", "--set=cross_modal=1.0")


@pytest.fixture
def model(extended: Path, tmp_path: Path) -> Path:
    """A copy with packs of its own for German and French."""
    return Path(shutil.copytree(extended, tmp_path / "model"))


def gated(world: World, out: Path, *more: str, model: Path | None = None, lang: str = "hi") -> list[str | Path]:
    quick = [option for option in world.quick if not option.startswith(("--set=lr", "--set=steps"))]
    command: list[str | Path] = [
        "extend",
        model or world.base,
        "--lang",
        lang,
        "--data",
        world.captions,
        "--out",
        out,
    ]
    return [*command, *quick, "--max-forgetting", "0.5", *more]


def test_english_ruined_is_refused(world: World, here: Here, model: Path) -> None:
    held = world.tree(model)
    said = here.error(*gated(world, model, *RUIN, model=model))
    assert "hi is not installed" in said
    assert "en 16.67 (50.00 → 33.33)" in said
    assert "allowed are 0.5 points" in said
    assert world.tree(model) == held


def test_a_language_apart_passes(world: World, here: Here, model: Path) -> None:
    value = here.json(*gated(world, model, "--set=steps=3", model=model))
    assert value["languages"] == ["en", "de", "fr", "hi"]


def test_nothing_evaluated_is_an_error(world: World, here: Here, tmp_path: Path) -> None:
    assert "nothing to measure" in here.error(*gated(world, tmp_path / "out", "--no-evaluate"), code=2)
    assert "nothing to measure" in here.error(*gated(world, tmp_path / "out", "--no-evaluate", "--dry-run"), code=2)
    assert not (tmp_path / "out").exists()


def test_the_dry_run_says_what_would_be_measured(world: World, here: Here, model: Path) -> None:
    held = world.tree(model)
    value = here.json(*gated(world, model, "--dry-run", "--set=steps=3", model=model))
    assert value["gate"]["max_forgetting"] == 0.5
    assert value["gate"]["captions"] == {"en": 3, "de": 3, "fr": 3, "hi": 3}
    out, _ = here(*gated(world, model, "--dry-run", "--set=steps=3", model=model))
    assert "gate: en (3 captions), de (3 captions), fr (3 captions) would be measured on 3 images" in out
    assert world.tree(model) == held
