"""``glotclip compare`` as people run it: the plan, two processes, a fault, the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

pytestmark = pytest.mark.slow


@pytest.fixture
def recipe(world: World, tmp_path: Path) -> Path:
    """Two runs of two languages that take a second each."""
    (tmp_path / "two.yaml").write_text(
        f"""\
title: Two runs
model: {world.base}
data: {world.captions}
languages: [de, fr]
intervals: 0
common: {{steps: 20, batch_size: 8, vocabulary: 300, lr: 0.003, checkpoint_seconds: 0}}
runs:
  - {{name: one table, settings: {{isolation: shared}}}}
  - {{name: apart}}
""",
        encoding="utf-8",
    )
    return tmp_path / "two.yaml"


def test_two_processes_side_by_side_one_of_which_fails(
    world: World, here: Here, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    here("compare", recipe, "--out", out, "--only", "one table", "--seeds", "1")
    (out / "trials" / "one-table-1.json").unlink()
    (out / "work").mkdir()
    (out / "work" / "apart-0").write_text("a file in the way", encoding="utf-8")
    said, _ = world.run("compare", recipe, "--out", out, "--processes", "2", code=1)
    assert "2 trials, 0 of them finished" in said
    assert "What is to be done" not in said  # timing every run first would keep the first trial waiting
    assert "[2 of 2" in said
    assert "apart-0: FAILED: " in said
    assert "FAILED apart-0: " in said.splitlines()[-1]
    assert [path.name for path in (out / "trials").iterdir()] == ["one-table-0.json"]
    assert json.loads((out / "results.json").read_text(encoding="utf-8"))["missing"] == ["apart-0"]
    log = (out / "work" / "apart-0.log").read_text(encoding="utf-8")
    assert "error: " in log
    first = (out / "trials" / "one-table-0.json").read_bytes()
    assert (out / "work" / "apart-0").read_text(encoding="utf-8") == "a file in the way"
    (out / "work" / "apart-0").unlink()
    value = here.json("compare", recipe, "--out", out)
    assert [run["name"] for run in value["runs"]] == ["one table", "apart"]
    assert (value["missing"], value["failures"]) == ([], {})
    assert (out / "trials" / "one-table-0.json").read_bytes() == first
    assert "[1 of" not in here("compare", recipe, "--out", out)[0]  # nothing is left to do


def test_the_dry_run_writes_nothing(here: Here, recipe: Path, tmp_path: Path) -> None:
    value = here.json("compare", recipe, "--out", tmp_path / "out", "--dry-run", "--seeds", "0,1")
    assert (value["trials"], value["unfinished"]) == (4, 4)
    assert [(run["run"], run["trials"]) for run in value["runs"]] == [("one table", 2), ("apart", 2)]
    assert value["seconds"] > 0
    assert "What is to be done" in here("compare", recipe, "--out", tmp_path / "out", "--dry-run")[0]
    assert not (tmp_path / "out").exists()


def test_complaints(here: Here, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "did you mean 'apart'" in here.error("compare", recipe, "--out", out, "--only", "aprt", code=2)
    assert "whole numbers" in here.error("compare", recipe, "--out", out, "--seeds", "x", code=2)
    assert "does not exist" in here.error("compare", tmp_path / "none.yaml", "--out", out, code=2)
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("isolation", "isolaton"), encoding="utf-8")
    assert "did you mean 'isolation'" in here.error("compare", recipe, "--out", out, code=2)
    recipe.write_text(
        recipe.read_text(encoding="utf-8").replace("{isolaton: shared}", "{}, joint: true"), encoding="utf-8"
    )
    assert "jointly" in here.error("compare", recipe, "--out", out, code=2)
    assert not out.exists()
