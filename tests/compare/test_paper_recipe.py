"""The recipe of the paper's benchmark, on small folders laid out as MSCOCO36 and XM3600 are."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.compare.experiment import Experiment
from glotclip.compare.order import PAPER
from glotclip.compare.recipe import Recipe, load_recipe
from glotclip.data.dataset import recognised
from glotclip.data.sources.mscoco36 import MSCOCO36
from glotclip.data.sources.xm3600 import XM3600
from glotclip.models.checkpoints import save_base

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[2] / "recipes" / "compare_mscoco36.yaml"
COLOURS = {"en": ("red", "green", "blue"), "de": ("rot", "grün", "blau"), "it": ("rosso", "verde", "blu")}


@pytest.fixture
def folders(tmp_path: Path, draw: Callable[[Path, str, str], None]) -> Path:
    """Three training images of MSCOCO36 and three of XM3600, with captions in three languages."""
    coco, xm = tmp_path / "mscoco36", tmp_path / "xm3600"
    for place, colour in enumerate(COLOURS["en"]):
        draw(coco / f"data/MSCOCO/train2014/COCO_train2014_{place:012}.jpg", colour, "square")
        draw(xm / f"images/0{place}.jpg", colour, "circle")
    for code, words in COLOURS.items():
        lines = [
            f"data/MSCOCO/train2014/COCO_train2014_{place:012}.jpg\ta {english} square\t{word} {k}"
            for place, (english, word) in enumerate(zip(COLOURS["en"], words, strict=True))
            for k in range(4)
        ]
        file = coco / f"data/corpus/multilingual_coco/36langs/triplet/coco_vision-en-{code}.tsv.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
        item = {"image": "train2014/COCO_train2014_000000000000.jpg", "image_id": 0, "caption": [words[0]]}
        for part in ("val", "test"):
            annotations = coco / f"data/annotations/coco/translated/{code}/{part}.json"
            annotations.parent.mkdir(parents=True, exist_ok=True)
            annotations.write_text(json.dumps([item]), encoding="utf-8")
    rows = [
        {"image/key": f"0{place}", "image/locale": "en", **{c: {"caption": [w[place]]} for c, w in COLOURS.items()}}
        for place in range(3)
    ]
    (xm / "captions.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return tmp_path


def test_the_recipe_names_the_papers_languages_in_its_order() -> None:
    recipe = load_recipe(RECIPE)
    assert recipe.order == "paper"
    assert list(recipe.languages) == list(PAPER)
    assert len(recipe.languages) == 36


def test_it_runs_on_folders_of_the_papers_layouts(
    folders: Path, base: DualEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recognised(folders / "mscoco36") is MSCOCO36
    assert recognised(folders / "xm3600") is XM3600
    save_base(base, folders / "base")
    monkeypatch.chdir(folders)
    recipe = load_recipe(RECIPE)
    small = {"epochs": 1, "steps": 2, "batch_size": 4, "vocabulary": 300, "precision": "fp32"}
    values = recipe.model_dump() | {
        "model": str(folders / "base"),
        "languages": ["en", "it", "de"],
        "runs": [run.model_dump() for run in recipe.runs if run.name in ("CLL-CLIP + TEIR", "MLA", "ER")],
        "common": {**recipe.common, **small},
        "intervals": 0,
    }
    experiment = Experiment.open(
        Recipe.model_validate(values), folders / "out", device="cpu", cache=folders / "cache"
    )
    assert experiment.run(experiment.unfinished()) == {}
    for trial in experiment.results():
        assert trial["tasks"] == [["en"], ["it"], ["de"]]
        assert set(trial["final"]) == {"en", "it", "de"}
        assert "xm3600" in trial["protocol"]
