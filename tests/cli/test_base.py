"""``finetune`` and ``train-base``: what they make, and that settings they have no use for are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

QUICK = ("--set=steps=2", "--set=batch_size=4", "--set=precision=fp32")


def test_finetune_makes_a_base(world: World, here: Here, tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    value = here.json("finetune", world.base, "--data", world.captions, "--out", out, *QUICK)
    assert value["steps"] == 2
    facts = json.loads((out / "training.json").read_text(encoding="utf-8"))
    assert facts["settings"]["steps"] == 2
    assert "memory" not in facts["settings"]
    assert not list(tmp_path.glob(".*.safetensors"))


@pytest.mark.parametrize("setting", ["strategy=er", "accumulate=2", "evaluate_every=1", "shots=3", "stages=nlt"])
def test_settings_without_use_are_refused(world: World, here: Here, tmp_path: Path, setting: str) -> None:
    name = setting.partition("=")[0]
    common: list[str | Path] = ["--out", tmp_path / "out", "--set", setting]
    assert f"unknown setting '{name}'" in here.error(
        "finetune", world.base, "--data", world.captions, *common, code=2
    )
    assert f"unknown setting '{name}'" in here.error("train-base", *common, code=2)
    assert not (tmp_path / "out").exists()
