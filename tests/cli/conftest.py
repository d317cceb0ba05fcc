"""The command line, among a base so small that a language is learnt in a second and a few drawn pictures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glotclip.cli.main import run

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.models.dual_encoder import DualEncoder


@dataclass(frozen=True)
class World:
    """The files of the tests, and the command line among them."""

    root: Path
    base: Path
    pictures: Path
    captions: Path
    command: tuple[str, ...] = (sys.executable, "-c", "from glotclip.cli.main import main; main()")
    #: Teaches in a second, and saves the state at every step, so that a kill finds something saved.
    quick: tuple[str, ...] = tuple(
        f"--set={setting}"
        for setting in ("steps=25", "batch_size=8", "vocabulary=300", "checkpoint_seconds=0", "lr=0.003")
    )

    @property
    def environment(self) -> dict[str, str]:
        """Nothing that happens to lie on this machine is found; threads as in every other process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GLOTCLIP")}
        return {
            **kept,
            "GLOTCLIP_CACHE": str(self.root / "cache"),
            "OMP_NUM_THREADS": "1",  # with work so small, threads of several processes only wait for each other
            "HF_HUB_OFFLINE": "1",
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "120",
        }

    def start(self, *arguments: str | Path, more: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        return subprocess.Popen(
            [*self.command, *map(str, arguments)],
            env={**self.environment, **(more or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=self.root,
        )

    def run(self, *arguments: str | Path, code: int = 0, more: Mapping[str, str] | None = None) -> tuple[str, str]:
        """Run a command in a process of its own, and return what it wrote to both streams."""
        process = self.start(*arguments, more=more)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
        return out, err

    def extend(self, out: Path, langs: str = "de,fr") -> list[str | Path]:
        """The command that all tests of resuming repeat."""
        return ["extend", self.base, "--lang", langs, "--data", self.captions, "--out", out, *self.quick]

    @staticmethod
    def weights(folder: Path) -> dict[str, bytes]:
        """The bytes of the weights of every pack in use."""
        record = json.loads((folder / "polyglot.json").read_text(encoding="utf-8"))
        return {name: (folder / place / "pack.safetensors").read_bytes() for name, place in record["packs"].items()}

    @staticmethod
    def tree(folder: Path) -> list[tuple[str, bytes]]:
        """Every file below a folder with its content, locks apart."""
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
        return [(str(path.relative_to(folder)), path.read_bytes()) for path in files]


@dataclass
class Here:
    """The same command line in this process: for the many cases in which it only has to complain."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
        self.capsys.readouterr()
        got = run([str(argument) for argument in arguments])
        out, err = self.capsys.readouterr()
        assert got == code, f"exit code {got}\n{out}\n{err}"
        return out, err

    def error(self, *arguments: str | Path, code: int = 1) -> str:
        """Run a command that must fail, check the form of its complaint, and return it."""
        _, err = self(*arguments, code=code)
        message, hint = err.splitlines()[-2:]
        assert message.startswith("error: ")
        assert hint.startswith("  → ")
        assert len(hint) > 8
        assert "Traceback" not in err
        assert "unexpected" not in message
        return f"{message} {hint}"

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        """Run a command with --json and return the document, which must be all of standard output."""
        out, _ = self(*arguments, "--json", code=code)
        return json.loads(out)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, base: DualEncoder, drawn: Path) -> World:
    """Base, pictures and captions, made once."""
    from glotclip.models.checkpoints import save_base

    root = tmp_path_factory.mktemp("world")
    shutil.copytree(drawn.parent, root, dirs_exist_ok=True)
    save_base(base, root / "base")
    return World(root, root / "base", root / "pictures", root / "captions.csv")


@pytest.fixture(scope="session")
def other_base(world: World, make_base: MakeBase) -> Path:
    """A base of the same shapes with other weights."""
    from glotclip.models.checkpoints import save_base

    save_base(make_base(1), world.root / "other-base")
    return world.root / "other-base"


@pytest.fixture(scope="session")
def extended(world: World) -> Path:
    """German and French, learnt without interruption in a process of its own."""
    out = world.root / "extended"
    world.run(*world.extend(out))
    return out


@pytest.fixture
def here(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    """The command line in this process, with the environment of the others."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in [name for name in os.environ if name.startswith("GLOTCLIP")]:
        monkeypatch.delenv(name)
    for name in ("GLOTCLIP_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, world.environment[name])
    monkeypatch.chdir(world.root)
    yield Here(capsys)
    torch.set_num_threads(threads)
