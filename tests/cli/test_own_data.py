"""Data of one's own through the command line: hints that can be followed, notes shown once, scores with a gallery."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import glotclip

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

pytestmark = pytest.mark.slow


@pytest.fixture
def own(world: World, tmp_path: Path) -> Path:
    """A table without language and split, whose pictures lie elsewhere, with markers and a column of no use."""
    colours, shapes = ("red", "green", "blue", "black"), ("circle", "square", "bar")
    names = [f"{colour}-{shape}" for colour in colours for shape in shapes]
    (tmp_path / "pictures").mkdir()
    lines = ["image,text,english,mood"]
    for n in range(48):
        shutil.copy(world.pictures / f"{names[n % 12]}.png", tmp_path / "pictures" / f"{n}.png")
        with (tmp_path / "pictures" / f"{n}.png").open("ab") as stream:
            stream.write(b"%d" % n)  # a picture of its own
        lines.append(f"{n}.png,Bild {n},picture {n},{'glad' if n else 'NaN'}")
    (tmp_path / "table").mkdir()
    path = tmp_path / "table" / "own.csv"
    path.write_text("\n".join([*lines, "1.png,NaN,null,sad"]) + "\n", encoding="utf-8")
    return path


def test_from_hint_to_hint_to_a_score(own: Path, world: World, here: Here, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command: list[str | Path] = ["extend", world.base, "--lang", "de", "--data", own, "--out", out]
    command += [*world.quick, "--set", "steps=2"]
    assert "--default-lang" in here.error(*command)
    command += ["--default-lang", "de"]
    assert "--images" in here.error(*command)  # no picture is there
    command += ["--images", own.parents[1] / "pictures"]
    said, _ = here(*command)
    assert said.count("columns not used, since nothing is known by these names: mood") == 1
    assert said.count("'NaN' in text 1") == 1
    assert "held out for testing (--hold-out 0.1" in said
    gallery = next(line for line in said.splitlines() if "R@1 de" in line)
    assert "own.csv, split test, " in gallery
    assert gallery.count("images") == 1
    listed = (out / "skipped.txt").read_text(encoding="utf-8")
    assert "own.csv:50: the text is empty: 'NaN' marks a missing value" in listed
    assert "note: columns not used" in listed
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert results["gallery"].startswith("own.csv, split test, ")
    assert results["gallery"] in (out / "report.md").read_text(encoding="utf-8")
    scored = here.json(
        "evaluate", out, "--benchmark", own, "--default-lang", "de", "--images", own.parents[1] / "pictures"
    )
    assert scored["gallery"] == results["gallery"]
    assert list(scored["languages"]) == ["de"]
    whole = here.json(
        "evaluate", out, "--benchmark", own, "--default-lang", "de", "--images", own.parents[1] / "pictures",
        "--hold-out", "1", "--intervals", "0",
    )  # fmt: skip
    assert whole["gallery_images"] == 48
    shown, _ = here("evaluate", world.base, "--benchmark", world.captions, "--langs", "en", "--intervals", "0")
    assert "Retrieval on captions.csv, split test, 3 images" in shown


def test_nothing_held_out(own: Path, world: World, here: Here, tmp_path: Path) -> None:
    said, _ = here(
        "extend", world.base, "--lang", "de", "--data", own, "--out", tmp_path / "out", "--default-lang", "de",
        "--images", own.parents[1] / "pictures", "--hold-out", "0", *world.quick, "--set", "steps=1",
    )  # fmt: skip
    assert "nothing was evaluated" in said


def test_a_check_takes_the_same_options(own: Path, here: Here) -> None:
    found = here.json(
        "data", "check", own, "--default-lang", "de", "--images", own.parents[1] / "pictures", "--max-skipped", "0.1"
    )
    assert found["rows"] == 48
    assert any("mood" in note for note in found["notes"])


def test_one_code_is_a_plain_text(world: World, tmp_path: Path) -> None:
    settings = {"steps": 1, "batch_size": 4, "vocabulary": 150, "precision": "fp32"}
    made = glotclip.extend(
        world.base, "de", data=world.captions, out=tmp_path / "one", settings=settings, cache=tmp_path, device="cpu"
    )
    assert made.languages == ("en", "de")
    assert made.gallery == "captions.csv, split test, 3 images"
    more = glotclip.extend(
        made.folder, "fr,hi", data=world.captions, out=made.folder, settings=settings, cache=tmp_path, device="cpu"
    )
    assert more.languages == ("en", "de", "fr", "hi")
    result = glotclip.evaluate(more.load(), world.captions, "de", intervals=0, cache=tmp_path)
    assert list(result["languages"]) == ["de"]


def test_options_for_data_that_has_no_use_for_them(world: World, here: Here, tmp_path: Path) -> None:
    complaint = here.error(
        "extend", world.base, "--lang", "de", "--images", world.pictures, "--out", tmp_path / "out", code=2
    )
    assert "--images has no meaning for emoji" in complaint


def test_several_sources_are_taught_from_by_their_weights(world: World, here: Here, tmp_path: Path) -> None:
    words = tmp_path / "deu-eng.tsv"
    words.write_text("rot\tred\ngrün\tgreen\nblau\tblue\nschwarz\tblack\nKreis\tcircle\n", encoding="utf-8")
    command: list[str | Path] = [
        "extend",
        world.base,
        "--lang",
        "de",
        "--data",
        words,
        "--data",
        f"{world.captions}=3",
    ]
    said, _ = here(*command, "--out", tmp_path / "out", *world.quick, "--set", "steps=2")
    assert "of every batch 25% deu-eng.tsv, 75% captions.csv" in said and "R@1 de" in said
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["data"] == "deu-eng.tsv=1 + captions.csv=3"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"data: {{'{words}': 1, '{world.captions}': 3}}\nsteps: 2\n", encoding="utf-8")
    again = glotclip.extend(
        world.base, "de", recipe=recipe, out=tmp_path / "again",
        settings={"batch_size": 8, "vocabulary": 300, "checkpoint_seconds": 0, "lr": 0.003},
    )  # fmt: skip
    packs = [
        next((folder / "packs").glob("*/pack.safetensors")).read_bytes()
        for folder in (tmp_path / "out", again.folder)
    ]
    assert packs[0] == packs[1]
    assert "the weight of" in here.error(*command[:4], "--data", f"{words}=0", "--out", tmp_path / "no", code=2)
