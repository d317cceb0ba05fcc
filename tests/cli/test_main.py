"""The entry point: quick help, plain errors, exit codes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from glotclip import __version__
from glotclip.cli import main

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

HEAVY = ("torch", "numpy", "transformers", "PIL", "yaml")  # pydantic is not: options are fields of its models


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from glotclip.cli.main import run; code = run(['--help']);"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules], code)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "HEAVY [] 0"
    for command in ("extend", "evaluate", "search", "demo", "train-base", "pack", "data"):
        assert re.search(rf"\b{command}\b", out)


@pytest.mark.parametrize("command", ["extend", "evaluate", "search", "demo", "train-base", "pack list", "data check"])
def test_every_command_explains_itself(here: Here, command: str) -> None:
    out, _ = here(*command.split(), "--help")
    assert "Usage: glotclip" in out


def test_version(here: Here) -> None:
    assert here("--version")[0].strip() == __version__


def test_the_package_runs_as_the_command_does() -> None:
    done = subprocess.run([sys.executable, "-m", "glotclip", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["extnd"], "extnd"),
        (["extend"], "model"),
        (["search", "emoji-clip", "dog", "--imges", "."], "--imges"),
        (["evaluate", "emoji-clip", "--bechmark", "emoji"], "--bechmark"),
        (["evaluate", "emoji-clip", "--intervals", "-1"], "--intervals"),
    ],
)
def test_wrong_arguments_name_the_argument_and_the_help(here: Here, arguments: list[str], message: str) -> None:
    complaint = here.error(*arguments, code=2)
    assert message in complaint.lower()
    assert "--help" in complaint


def test_an_unexpected_error_becomes_a_sentence(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("the moon is full\nand there is more")

    monkeypatch.setattr("glotclip.data.catalog.dataset", fail)
    _, err = here("data", "check", "emoji", code=1)
    assert err.startswith("error: unexpected RuntimeError: the moon is full\n  → ")
    assert "GLOTCLIP_DEBUG=1" in err
    monkeypatch.setenv(main.DEBUG, "1")
    _, err = here("data", "check", "emoji", code=1)
    assert "Traceback" in err


@pytest.mark.parametrize("said", [OSError(28, "No space left on device"), ValueError("I/O error: … (os error 28)")])
def test_a_full_disk_is_told_whoever_noticed_it(here: Here, monkeypatch: pytest.MonkeyPatch, said: Exception) -> None:
    def fail(name: str) -> None:
        raise said

    monkeypatch.setattr("glotclip.data.catalog.dataset", fail)
    assert "the disk is full" in here.error("data", "check", "emoji")


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_error(world: World) -> None:
    python, *arguments = world.command
    script = f"{python} {shlex.join(arguments)} data list | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=world.environment, check=True)
    assert done.stdout.strip() in ("141", "0")  # 0 where the pipe took everything before its reader left
    assert done.stderr == ""
