"""``glotclip serve``: what it refuses before anything is loaded; serving itself is in tests/server/test_run.py."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "could see all pictures"),
        (("--token", "short"), "soon guessed"),
    ],
)
def test_settings_that_are_not_safe(here: Here, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    assert said in here.error("serve", tmp_path, *options, code=2)


def test_no_library(here: Here, tmp_path: Path) -> None:
    assert "no library" in here.error("serve", tmp_path / "nowhere")


def test_an_empty_library(world: World, here: Here, tmp_path: Path) -> None:
    shutil.copytree(world.pictures, tmp_path / "album")
    here("index", tmp_path / "album", "--library", tmp_path / "library", "--model", world.base)
    said = here.error("serve", tmp_path / "library", "--model", "emoji-clip", "--port", "0", code=2)
    assert "no vectors of the model" in said


def test_the_library_is_an_argument_or_an_option(here: Here, tmp_path: Path) -> None:
    assert "no library" in here.error("serve", "--library", tmp_path / "nowhere")
    assert "named twice" in here.error("serve", tmp_path / "one", "--library", tmp_path / "two", code=2)
