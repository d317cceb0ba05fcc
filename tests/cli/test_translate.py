"""``translate`` among real files, with a program that shouts; and ``evaluate --translate``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World


@pytest.fixture
def shout(tmp_path: Path) -> str:
    """An engine that answers in capitals."""
    program = tmp_path / "shout.py"
    program.write_text("import sys\nsys.stdout.write(sys.stdin.read().upper())\n", encoding="utf-8")
    return f"command:{sys.executable} {program}"


def test_a_text_and_again_from_the_cache(world: World, here: Here, shout: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a dog\na cat\na dog\n", encoding="utf-8")
    files = (tmp_path / "in.txt", tmp_path / "out.txt")
    command = ["translate", *map(str, files), "--to", "es", "--engine", shout, "--check"]
    out, _ = here(*command, "--cache", tmp_path / "cache")
    assert "3 captions from en into es by command" in out
    assert "a dog\n  → A DOG" in out
    assert "checked: 3 captions" in out
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == "A DOG\nA CAT\nA DOG\n"
    value = here.json(*command, "--cache", tmp_path / "cache")
    assert (value["captions"], value["cached"], value["to"]) == (3, 3, "es")
    assert value["engine"]["name"] == "command"


@pytest.mark.slow
def test_a_thousand_captions_from_the_cache_in_a_second(world: World, shout: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("".join(f"a dog {place}\n" for place in range(1000)), encoding="utf-8")
    command = ["translate", *map(str, (tmp_path / "in.txt", tmp_path / "out.txt")), "--to", "es", "--engine", shout]
    world.run(*command)
    used = os.times()
    out, _ = world.run(*command)
    seconds = sum(os.times()[2:4]) - sum(used[2:4])  # of the processor: others may be busy on this machine
    assert "1,000 of them from the cache" in out
    assert seconds < 1


@pytest.mark.slow
def test_what_was_translated_can_be_taught(world: World, here: Here, shout: str, tmp_path: Path) -> None:
    table = world.root / "shouted.csv"
    here("translate", world.captions, table, "--to", "es", "--engine", shout)
    here("extend", world.base, "--lang", "es", "--data", table, "--out", tmp_path / "made", "--no-evaluate",
         *world.quick)  # fmt: skip
    value = here.json("evaluate", tmp_path / "made", "--benchmark", table, "--langs", "es", "--intervals", "0")
    assert value["languages"]["es"]["text_to_image"]["n_queries"] == 3


def test_the_translated_query_scores_as_english_does(world: World, here: Here, tmp_path: Path) -> None:
    """Perfect translations, from files: the base, which knows English only, is as good in every language."""
    rows = [line.split(",") for line in world.captions.read_text(encoding="utf-8").splitlines()[1:]]
    for name, column in (("foreign", 2), ("english", 3)):
        (tmp_path / name).write_text("".join(f"{row[column]}\n" for row in rows), encoding="utf-8")
    engine = f"files:{tmp_path / 'foreign'}:{tmp_path / 'english'}"
    value = here.json(
        "evaluate", world.base, "--benchmark", world.captions, "--translate", engine, "--intervals", "0"
    )
    assert list(value["languages"]) == ["en", "de", "fr", "hi"]
    for scores in value["languages"].values():
        assert scores == value["languages"]["en"]
    assert value["model"].endswith("after translation by files")
    assert "translated into it by files" in value["protocol"]
    plain = here.json("evaluate", world.base, "--benchmark", world.captions, "--intervals", "0")
    assert plain["languages"] == {"en": value["languages"]["en"]}


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--engine", "apertum"], 2, "did you mean 'apertium'"),
        (["--to", "spanish"], 2, "unknown language code 'spanish'"),
        (["--from", "es"], 2, "source and target are both 'es'"),
        (["--engine", "ctranslate2:nowhere"], 1, "is no model for CTranslate2"),
        (["--engine", "command:false"], 1, "ended with exit code 1"),
    ],
)
def test_what_cannot_be_done(here: Here, tmp_path: Path, more: list[str], code: int, said: str) -> None:
    (tmp_path / "in.txt").write_text("a dog\n", encoding="utf-8")
    files = (tmp_path / "in.txt", tmp_path / "out.txt")
    assert said in here.error("translate", *files, "--to", "es", "--engine", "command:cat", *more, code=code)
    assert not (tmp_path / "out.txt").exists()


def test_json_is_all_of_standard_output(here: Here, shout: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a dog\n\n", encoding="utf-8")
    out, err = here("translate", tmp_path / "in.txt", tmp_path / "o.txt", "--to", "es", "--engine", shout, "--json")
    assert json.loads(out)["empty_lines"] == 1
    assert "1 lines are empty" in err


def test_a_dictionary_of_a_models_words(world: World, here: Here, shout: str, tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text("02084071 05 n 01 domestic_dog 0 000 | a member\n", encoding="utf-8")
    command: list[str | Path] = [
        "translate",
        world.base,
        tmp_path / "out.tsv",
        "--to",
        "es",
        "--engine",
        shout,
        "--vocabulary",
    ]
    out, _ = here(*command, "--wordnet", tmp_path / "data.noun", "--cache", tmp_path / "cache")
    assert "1 nouns of WordNet" in out
    lines = (tmp_path / "out.tsv").read_text(encoding="utf-8").splitlines()
    head = lines[0].split("\t")
    rows = [dict(zip(head, line.split("\t"), strict=False)) for line in lines[1:]]
    assert ("DOMESTIC DOG", "domestic dog") in [(row["text"], row["english"]) for row in rows]
    assert all(row["text"] == row["english"].upper() and row["lang"] == "es" for row in rows)
