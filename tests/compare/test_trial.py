"""A trial: its name, its settings by seed, and what its result depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glotclip.compare.recipe import Recipe
from glotclip.compare.trial import slug


def recipe(**values: Any) -> Recipe:
    runs = [{"name": "MLA + TEIR", "method": "acquirer"}]
    return Recipe.model_validate({"languages": "de, fr", "runs": runs, **values})


@pytest.mark.parametrize(("name", "file"), [("MLA + TEIR", "mla-teir"), ("ранг 8", "ранг-8"), ("++", "run")])
def test_names_of_files(name: str, file: str) -> None:
    assert slug(name) == file


def test_the_run_wins_over_the_common_settings_and_the_seed_over_both() -> None:
    (first, second) = recipe(
        seeds=[1, 2], common={"steps": 3, "lr": 0.1}, runs=[{"name": "a", "settings": {"lr": 0.2, "shots": 5}}]
    ).trials()
    assert first.settings == {"steps": 3, "lr": 0.2, "shots": 5, "seed": 1, "shots_seed": 43}
    assert second.settings["shots_seed"] == 44
    assert (first.slug, second.slug) == ("a-1", "a-2")


def test_its_config_is_what_extend_would_be_told(tmp_path: Path) -> None:
    (trial,) = recipe(joint=True, translator="apertium").trials()
    config = trial.config(out=tmp_path, device="cpu")
    assert (config.method, config.langs, config.joint) == ("acquirer", ("de", "fr"), True)
    assert config.translator == "apertium"
    assert (config.out, config.device, config.settings["seed"]) == (tmp_path, "cpu", 0)


def test_of_files_the_content_counts(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("text,lang\n", encoding="utf-8")
    (trial,) = recipe(data=str(path)).trials()
    before = trial.data_facts()
    assert before["data"] == before["benchmark"]
    assert before["data"].startswith("sha256:")
    path.write_text("text,lang\nrot,de\n", encoding="utf-8")
    assert trial.data_facts()["data"] != before["data"]
    (named,) = recipe(benchmark="emoji:google").trials()
    assert (named.data_facts()["data"], named.data_facts()["benchmark"]) == ("emoji", "emoji:google")
