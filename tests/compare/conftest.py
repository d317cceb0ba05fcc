"""A comparison of two runs on the small data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glotclip.compare.experiment import Experiment
from glotclip.compare.recipe import Recipe
from glotclip.models.checkpoints import save_base

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

COMMON = {
    "steps": 4, "batch_size": 4, "vocabulary": 150, "lr": 0.01, "precision": "fp32", "checkpoint_seconds": 0,
}  # fmt: skip
RUNS: list[dict[str, Any]] = [
    {"name": "shared", "settings": {"isolation": "shared"}},
    {"name": "apart", "group": "own packs", "settings": {"steps": 3}},
]


@pytest.fixture(scope="module")
def model(base: DualEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "base"
    save_base(base, folder)
    return folder


@pytest.fixture
def experiment(model: Path, drawn: Path, tmp_path: Path) -> Callable[..., Experiment]:
    """Open the comparison of two runs, unless told otherwise."""

    def opened(*, out: str = "out", progress: Any = None, keep: bool = False, **changed: Any) -> Experiment:
        values = {"model": str(model), "data": str(drawn), "languages": "de, fr", "runs": RUNS, "common": COMMON}
        recipe = Recipe.model_validate({"intervals": 20, **values, **changed})
        more = {} if progress is None else {"progress": progress}
        return Experiment.open(recipe, tmp_path / out, device="cpu", cache=tmp_path / "cache", keep=keep, **more)

    return opened
