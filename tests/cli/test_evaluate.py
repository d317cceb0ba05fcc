"""``evaluate``: a self-describing JSON, and tables for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World


def test_scores_stand_where_the_documents_say(world: World, here: Here, extended: Path, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    value = here.json("evaluate", extended, "--benchmark", world.captions, "--langs", "en,de", "--langs", "fr",
                      "--out", file, "--intervals", "50")  # fmt: skip
    assert json.loads(file.read_text(encoding="utf-8")) == value
    assert list(value["languages"]) == ["en", "de", "fr"]
    for scores in value["languages"].values():
        for direction in ("text_to_image", "image_to_text"):
            entry = scores[direction]
            assert 0 <= entry["r@1"] <= entry["r@5"] <= entry["r@10"] <= 100
            assert entry["n_queries"] == 3
            low, high = entry["ci95"]["r@1"]
            assert low <= entry["r@1"] <= high
    assert value["gallery_images"] == 3
    assert value["model"]
    assert set(value) >= {"format", "benchmark", "protocol", "average", "disparity", "environment", "unreadable"}


def test_people_get_a_table(world: World, here: Here, extended: Path) -> None:
    out, _ = here("evaluate", extended, "--benchmark", world.captions, "--intervals", "0")
    assert "gallery of 3 pictures" in out
    rows = [line.split()[0] for line in out.splitlines() if line[:2] in ("en", "de", "fr")]
    assert rows == ["en", "de", "fr"]


def test_learning_has_helped(world: World, here: Here, extended: Path) -> None:
    """The scores of the run are those that ``evaluate`` measures on what was written."""
    value = here.json("evaluate", extended, "--benchmark", world.captions, "--intervals", "0")
    recorded = json.loads((extended / "results.json").read_text(encoding="utf-8"))["evaluations"]["fr"]
    for code, scores in recorded.items():
        assert scores["text_to_image"]["n_queries"] == value["languages"][code]["text_to_image"]["n_queries"]
    assert set(recorded) == set(value["languages"])


def test_a_language_the_benchmark_lacks(world: World, here: Here, extended: Path) -> None:
    assert "'sw'" in here.error("evaluate", extended, "--benchmark", world.captions, "--langs", "en,sw", code=2)


def test_a_language_the_model_lacks(world: World, here: Here, extended: Path) -> None:
    complaint = here.error("evaluate", extended, "--benchmark", world.captions, "--langs", "hi", code=2)
    assert "installed: en, de, fr" in complaint


def test_a_benchmark_that_is_not_there(here: Here, extended: Path) -> None:
    assert "did you mean 'emoji'" in here.error("evaluate", extended, "--benchmark", "emojy")
