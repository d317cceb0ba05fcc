"""``glotclip methods``: every method, every setting, and the page made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.methods.method import methods
from glotclip.training.settings import TrainSettings

if TYPE_CHECKING:
    from tests.cli.conftest import Here

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_all_methods_are_listed_with_their_costs(here: Here) -> None:
    out, _ = here("methods")
    for name, method in methods().items():
        (line,) = [line for line in out.splitlines() if line.split()[:1] == [name]]
        assert method.summary in line
        assert ("512 a token row" in line) == (name != "encoder")  # which has rows of its own
    assert "3,154,944" in out  # MLA §1: an acquirer of the paper's size


@pytest.mark.parametrize("name", list(methods()))
def test_every_setting_of_a_method_is_told_with_its_default(here: Here, name: str) -> None:
    said = json.loads(here("methods", name, "--json")[0])["settings"]
    method = methods()[name]
    assert set(said) == {*method.settings.model_fields, *TrainSettings.model_fields}
    assert all(each["description"] for each in said.values())
    for setting, default in method.defaults.items():
        assert said[setting]["default"] == default


def test_an_unknown_method_gets_a_guess(here: Here) -> None:
    _, err = here("methods", "lorra", code=2)
    assert "did you mean 'lora'?" in err


def test_the_page_of_settings_is_current(here: Here) -> None:
    out, _ = here("methods", "--markdown")
    assert PAGE.read_text(encoding="utf-8") == out, "glotclip methods --markdown > docs/settings.md"
    assert max(map(len, out.splitlines())) <= 120
