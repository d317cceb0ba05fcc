"""``glotclip export``, and searching with what it writes: in this process, and in one that has no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

pytestmark = pytest.mark.slow

WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "onnx", "onnxscript", "transformers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoTorch())
from glotclip.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def made(world: World, extended: Path) -> Path:
    """The model of `extend`, exported."""
    out = world.root / "exported"
    world.run("export", extended, "--out", out, "--precision", "fp32", "--images", world.pictures)
    return out


def bare(world: World, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command where torch is not installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)], env=world.environment, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(("query", "lang"), [("a red circle", "en"), ("grünes Quadrat", "de"), ("barre bleue", "fr")])
def test_the_same_hits_with_and_without_torch(
    query: str, lang: str, here: Here, world: World, extended: Path, made: Path
) -> None:
    import json

    asked = (query, "--images", world.pictures, "--lang", lang)
    expected = here.json("search", extended, *asked)
    done = bare(world, "search", made, *asked, "--json")
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert [hit["path"] for hit in got["hits"]] == [hit["path"] for hit in expected["hits"]]
    for one, other in zip(got["hits"], expected["hits"], strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)
    assert here.json("search", made, *asked)["hits"] == got["hits"]  # with torch beside it, the same graphs run


def test_languages_are_guessed(here: Here, world: World, extended: Path, made: Path) -> None:
    asked = ("roter Kreis", "--images", world.pictures)
    got, expected = here.json("search", made, *asked), here.json("search", extended, *asked)
    same = ("lang", "lang_guessed", "lang_sure", "lang_among", "lang_weights")
    assert {name: got[name] for name in same} == {name: expected[name] for name in same}


def test_what_the_command_says(here: Here, world: World, extended: Path, tmp_path: Path) -> None:
    out, _ = here("export", extended, "--out", tmp_path / "out", "--lang", "en,de", "--precision", "auto")
    assert "least cosine" in out and "languages: en, de" in out
    kept = [line for line in out.splitlines() if line.endswith("  kept")]
    assert len(kept) == 2 and all(line.split()[1] in ("fp32", "int8") for line in kept)


def test_what_needs_torch_says_so(world: World, extended: Path) -> None:
    training: list[tuple[str | Path, ...]] = [
        ("search", extended, "rot", "--images", world.pictures),
        ("extend", world.base, "--lang", "de", "--data", world.captions, "--out", world.root / "never"),
        ("export", extended, "--out", world.root / "never"),
        ("pack", "list", extended),
    ]
    for arguments in training:
        done = bare(world, *arguments)
        if done.returncode:  # what reads small files alone goes on
            assert "torch, which is not installed" in done.stderr or "'glotclip[export]'" in done.stderr, done.stderr
            assert "→ pip install 'glotclip[" in done.stderr
    assert not (world.root / "never").exists()
    for words in (["--help"], ["doctor", "--json"], ["data", "list"]):
        done = bare(world, *words)
        assert done.stdout and "Traceback" not in done.stderr
        assert done.returncode == 0 or words[0] == "doctor"


def test_bad_requests(here: Here, world: World, extended: Path, made: Path, tmp_path: Path) -> None:
    assert "unknown precision 'int4'" in here.error(
        "export", world.base, "--out", tmp_path / "a", "--precision=int4", code=2
    )
    assert "'es' is not installed" in here.error("export", extended, "--out", tmp_path / "b", "--lang", "es", code=2)
    assert "there already" in here.error("export", world.base, "--out", made)
    assert "there is no folder" in here.error("export", "no-such-model", "--out", tmp_path / "c")
    assert not any(tmp_path.iterdir())
