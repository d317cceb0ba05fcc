"""``glotclip.export`` and ``glotclip.search`` with what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import glotclip
from glotclip.errors import ConfigError, LanguageError, StorageError

if TYPE_CHECKING:
    from glotclip.packs.polyglot import Polyglot


@pytest.mark.slow
def test_a_loaded_model_is_exported_and_searched_with(taught: Polyglot, tmp_path: Path) -> None:
    made = glotclip.export(taught, tmp_path / "out", precision="fp32", languages="en de")
    assert list(made.languages) == ["en", "de"]
    for name, colour in {"red": (200, 10, 10), "blue": (10, 10, 200), "grey": (90, 90, 90)}.items():
        Image.new("RGB", (30, 40), colour).save(tmp_path / f"{name}.png")
    for model in (tmp_path / "out", glotclip.OnnxEncoder(tmp_path / "out")):
        found = glotclip.search(model, [*tmp_path.glob("*.png")], "roter Kreis", "de", cache=tmp_path / "cache")
        expected = glotclip.search(taught, [*tmp_path.glob("*.png")], "roter Kreis", "de", cache=tmp_path / "cache")
        assert [hit.path for hit in found.hits] == [hit.path for hit in expected.hits]
        assert [hit.score for hit in found.hits] == pytest.approx([hit.score for hit in expected.hits], abs=1e-5)
    assert len([*(tmp_path / "cache").iterdir()]) >= 2  # features of the two are kept apart


def test_what_is_wrong_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="unknown precision"):
        glotclip.export("no-such-model", out, precision="int4")  # type: ignore[arg-type]
    with pytest.raises(LanguageError):
        glotclip.export("no-such-model", out, languages=["no language"])
    out.mkdir()
    (out / "mine").write_text("mine")
    with pytest.raises(StorageError):
        glotclip.export("no-such-model", out)
