"""A base so small that a language is learnt in a second, pictures that can be drawn, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from glotclip.cli.main import run

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 220), "black": (0, 0, 0)}
SHAPES = ("circle", "square", "bar")
WORDS = {
    "de": {
        "red": "rot", "green": "grün", "blue": "blau", "black": "schwarz",
        "circle": "Kreis", "square": "Quadrat", "bar": "Balken",
    },
    "fr": {
        "red": "rouge", "green": "vert", "blue": "bleu", "black": "noir",
        "circle": "cercle", "square": "carré", "bar": "barre",
    },
    "hi": {
        "red": "लाल", "green": "हरा", "blue": "नीला", "black": "काला",
        "circle": "वृत्त", "square": "वर्ग", "bar": "पट्टी",
    },
}  # fmt: skip


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
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Base, pictures and captions, made once."""
    root = tmp_path_factory.mktemp("world")
    made = World(root, root / "base", root / "pictures", root / "captions.csv")
    save_tiny_base(made.base)
    lines = [["image", "lang", "text", "english", "split"]]
    for place, (colour, shape) in enumerate((c, s) for c in COLOURS for s in SHAPES):
        name = f"{colour}-{shape}.png"
        draw(made.pictures / name, colour, shape)
        english, split = f"a {colour} {shape}", "test" if place % 4 == 3 else "train"
        captions = {"en": english, **{code: f"{of[colour]} {of[shape]}" for code, of in WORDS.items()}}
        lines += [[f"pictures/{name}", code, text, english, split] for code, text in captions.items()]
    made.captions.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    return made


@pytest.fixture(scope="session")
def other_base(world: World) -> Path:
    """A base of the same shapes with other weights."""
    folder = world.root / "other-base"
    save_tiny_base(folder, seed=1)
    return folder


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
    monkeypatch.setattr("glotclip.data.cldr.DEBIAN", Path("/nonexistent"))
    monkeypatch.chdir(world.root)
    yield Here(capsys)
    torch.set_num_threads(threads)


def draw(path: Path, colour: str, shape: str) -> None:
    """Draw one picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (24, 24), "white")
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse((3, 3, 20, 20), COLOURS[colour])
    else:
        pen.rectangle((3, 3, 20, 20) if shape == "square" else (3, 10, 20, 14), COLOURS[colour])
    image.save(path)


def save_tiny_base(folder: Path, seed: int = 0) -> None:
    """Write a random dual encoder of a few thousand weights in glotclip's own layout."""
    import torch

    from glotclip.models import bpe
    from glotclip.models.checkpoints import save_base
    from glotclip.models.dual_encoder import DualEncoder
    from glotclip.models.preprocess import Preprocess
    from glotclip.models.text_tower import TextConfig, TextTower
    from glotclip.models.tokenizer import ClipTokenizer
    from glotclip.models.vision_tower import VisionConfig, VisionTransformer

    torch.manual_seed(seed)
    letters = list(bpe.byte_characters().values())
    tokens = [*letters, *(letter + bpe.END_OF_WORD for letter in letters), bpe.START, bpe.END]
    tokenizer = ClipTokenizer({token: place for place, token in enumerate(tokens)}, [], context_length=24)
    text = TextTower(
        TextConfig(width=32, layers=2, heads=2, mlp_width=64, vocab_size=len(tokens), context_length=24, embed_dim=16)
    )
    vision = VisionTransformer(
        VisionConfig(width=32, layers=1, heads=2, mlp_width=64, image_size=24, patch_size=8, embed_dim=16)
    )
    save_base(DualEncoder(f"tiny-{seed}", text, vision, tokenizer, Preprocess(size=24), 14.3), folder)
