"""The built-in bases are part of the package, and no other folder of its is taken for one."""

from __future__ import annotations

from glotclip.models.built_in import ASSETS, BUILT_IN, PHOTO_BASES
from glotclip.models.photo_bases import RECIPES


def test_what_is_built_in_is_there() -> None:
    assert {folder.parent.name for folder in ASSETS.glob("*/glotclip.json")} == BUILT_IN.keys()
    assert set(PHOTO_BASES) == RECIPES.keys()
