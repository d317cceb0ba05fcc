"""Options of a run: what recipe, keywords and the command line may say, and who wins."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import glotclip
from glotclip.api.config import ExtendConfig, FinetuneConfig, config_of, fields_of, flags
from glotclip.errors import ConfigError, LanguageError

GIVEN: dict[str, Any] = {"model": "emoji-clip", "out": "out"}


@pytest.mark.parametrize(
    ("langs", "codes"),
    [
        ("de, fr", ("de", "fr")),
        (["de,fr", "ru"], ("de", "fr", "ru")),
        (("DE",), ("de",)),
        (["de", False], ("de", "no")),  # YAML 1.1 reads no as false
    ],
)
def test_languages_are_read_from_texts_and_lists(langs: Any, codes: tuple[str, ...]) -> None:
    assert ExtendConfig(**GIVEN, langs=langs).langs == codes


def test_a_language_twice_is_an_error_of_languages() -> None:
    with pytest.raises(LanguageError, match="twice"):
        ExtendConfig(**GIVEN, langs="de,de")


def test_a_recipe_fills_in_what_is_not_given(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("method: acquirer\nlangs: [de, no]\njoint: true\nsteps: 7\n", encoding="utf-8")
    config = config_of(ExtendConfig, {**GIVEN, "recipe": recipe, "joint": False})
    assert (config.method, config.langs, config.joint) == ("acquirer", ("de", "no"), False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mehtod": "lora"}, "did you mean 'method'"),
        ({"max_skipped": 2}, "max_skipped"),
        ({"joint": "perhaps"}, "joint"),
    ],
)
def test_mistakes_are_loud(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_of(ExtendConfig, {**GIVEN, **given})
    assert said in f"{refused.value.message} {refused.value.hint}"


def test_only_what_differs_is_said_about_reading() -> None:
    config = ExtendConfig(**GIVEN, images="pictures", hold_out=0.1)
    assert config.reading == {"images": "pictures"}


@pytest.mark.parametrize(("kind", "function"), [(ExtendConfig, glotclip.extend), (FinetuneConfig, glotclip.finetune)])
def test_help_shows_every_option(kind: Any, function: Any) -> None:
    assert set(fields_of(kind)) == set(kind.model_fields) <= set(inspect.signature(function).parameters)
    for name, field in kind.model_fields.items():
        assert f"        {name}: " in (function.__doc__ or ""), name
        assert field.description, name


def test_what_is_for_python_only_has_no_flag() -> None:
    assert set(ExtendConfig.model_fields) - set(flags(ExtendConfig)) == {"cache"}
