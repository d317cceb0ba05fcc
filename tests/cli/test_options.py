"""Commands made from configs: options, bounds, what is said explicitly, and Typer's help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pytest
import typer

from glotclip.api.config import ExtendConfig, flags
from glotclip.cli.main import app
from glotclip.cli.options import takes
from glotclip.errors import ConfigError

if TYPE_CHECKING:
    from tests.cli.conftest import Here

CALLS: list[tuple[ExtendConfig, bool]] = []


def _command() -> Any:
    inner = typer.Typer()

    @inner.command()
    @takes(ExtendConfig)
    def learn(config: ExtendConfig, loud: Annotated[bool, typer.Option("--loud", help="Say more.")] = False) -> None:
        """Learn."""
        CALLS.append((config, loud))

    return typer.main.get_command(inner)


def call(*arguments: str) -> tuple[ExtendConfig, bool]:
    CALLS.clear()
    _command().main([*arguments], standalone_mode=False)
    return CALLS[0]


def test_what_is_written_becomes_the_config() -> None:
    config, loud = call(
        "emoji-clip", "--lang", "de,fr", "--langs", "ru", "--out", "o", "--set", "steps=3", "--set", "lr=1e-4",
        "--continue", "--no-evaluate", "--hold-out", "0.5", "--loud",
    )  # fmt: skip
    assert (config.langs, config.settings) == (("de", "fr", "ru"), {"steps": 3, "lr": 1e-4})
    assert (config.out, config.continue_learning, config.benchmark, config.hold_out) == (Path("o"), True, False, 0.5)
    assert loud


def test_what_is_not_written_is_left_to_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("method: lora\nhold_out: 0.3\n", encoding="utf-8")
    config, _ = call("emoji-clip", "--lang", "de", "--out", "o", "--recipe", str(recipe))
    assert (config.method, config.hold_out) == ("lora", 0.3)
    config, _ = call("emoji-clip", "--lang", "de", "--out", "o", "--recipe", str(recipe), "--method", "lexicon")
    assert config.method == "lexicon"  # though that is the default, it was written


@pytest.mark.parametrize("wrong", [["--hold-out", "2"], ["--max-forgetting", "much"]])
def test_bounds_and_types_are_those_of_the_fields(here: Here, wrong: list[str]) -> None:
    assert wrong[0] in here.error("extend", "emoji-clip", "--lang", "de", "--out", "o", *wrong, code=2)


def test_what_a_field_refuses_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="cannot read the setting"):
        call("emoji-clip", "--out", "o", "--set", "steps")


def test_every_flag_is_an_option_of_the_command() -> None:
    command = typer.main.get_command(app).commands["extend"]  # type: ignore[attr-defined]
    helps = {each.name: each.help for each in command.params}
    for name, (field, _) in flags(ExtendConfig).items():
        assert helps[name] == field.description
