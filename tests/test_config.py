"""Settings: how values are read, and that typos are loud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from glotclip.config import Settings, parse_assignments, read_recipe, settings_from
from glotclip.errors import ConfigError


class Example(Settings):
    steps: int = Field(3, ge=1)
    name: str = "x"


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("1e-4", 1e-4), ("1E3", 1000.0), ("true", True), ("0.5", 0.5), ("no", "no"), ("null", None),
     ("per-language", "per-language"), ("[0.9, 0.99]", [0.9, 0.99]), ("e", "e"), ("a=b", "a=b")],
)  # fmt: skip
def test_values_are_read_as_people_mean_them(tmp_path: Path, text: str, value: Any) -> None:
    assert parse_assignments([f"key={text}"]) == {"key": value}
    (tmp_path / "r.yaml").write_text(f"key: {text}\n", encoding="utf-8")
    if text != "no":  # YAML itself reads an unquoted ``no`` as False
        assert read_recipe(tmp_path / "r.yaml") == {"key": value}


@pytest.mark.parametrize("text", ["steps", "=3", " = 3"])
def test_an_assignment_needs_name_and_sign(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot read the setting"):
        parse_assignments([text])


def test_errors_name_setting_place_and_value() -> None:
    with pytest.raises(ConfigError, match=r"'stepz' in here") as caught:
        settings_from(Example, {"stepz": 3}, where="here")
    assert "did you mean 'steps'" in caught.value.hint
    with pytest.raises(ConfigError, match=r"'steps' in here: .*got 0"):
        settings_from(Example, {"steps": 0}, where="here")
    assert settings_from(Example, {"steps": 5}, where="here") == Example(steps=5)


@pytest.mark.parametrize(
    ("content", "message"), [("- 1", "name: value"), ("a: [", "not valid YAML"), ("1: 2", "name")]
)
def test_recipes_that_are_none(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "r.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_recipe(tmp_path / "r.yaml")


def test_recipes_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_recipe(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recipe(tmp_path)
    (tmp_path / "empty.yaml").write_text("# nothing\n", encoding="utf-8")
    assert read_recipe(tmp_path / "empty.yaml") == {}
