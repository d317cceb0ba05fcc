"""``glotclip doctor``: for people, for programs, and its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

pytestmark = pytest.mark.slow


def test_a_whole_model_and_a_damaged_one(here: Here, world: World, extended: Path, tmp_path: Path) -> None:
    import shutil

    out, _ = here("doctor", extended)
    assert "versions\n" in out and "tiny-0 with 2 packs, whole; en, de, fr" in out and "nothing is broken" in out
    copy = tmp_path / "model"
    shutil.copytree(extended, copy)
    shutil.copytree(world.base, tmp_path / "base")
    weights = next((copy / "packs").glob("de*/pack.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"????")
    out, _ = here("doctor", copy, code=1)
    assert "altered" in out and "broken: " in out and "→ get the pack again" in out
    value = here.json("doctor", copy, code=1)
    findings = [each for section in value["sections"] for each in section["findings"]]
    assert value["broken"] == 1 and [each["what"] for each in findings if each["state"] == "broken"] == [
        str(weights.parent)
    ]
    assert {each["state"] for each in findings} <= {"fine", "missing", "broken"}


def test_what_is_no_model_is_broken(here: Here, tmp_path: Path) -> None:
    out, _ = here("doctor", tmp_path, code=1)
    assert "is no folder that glotclip made" in out
