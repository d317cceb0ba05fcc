"""``data``: the catalogue, and the check of one's own files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World


def test_list_names_licence_and_source(here: Here) -> None:
    value = here.json("data", "list")
    assert [dataset["name"] for dataset in value][:2] == ["emoji", "cldr"]
    assert all(dataset["licence"] and dataset["source"] for dataset in value)
    assert "glotclip data get cldr" in here("data", "list")[0]


def test_check_of_the_embedded_dataset(here: Here) -> None:
    found = here.json("data", "check", "emoji")["found"]
    assert found["concepts"] == 1644
    assert found["train"] + found["validation"] + found["test"] == 1644


def test_check_of_a_file(world: World, here: Here) -> None:
    value = here.json("data", "check", world.captions)
    assert value["languages"]["de"] == {"train": 9, "test": 3}
    assert value["bad"] == []


def test_check_of_a_bad_file_lists_the_rows_and_fails(world: World, here: Here, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("text,lang\nHund,de\n,de\nKatze,xx-bad-code-\n", encoding="utf-8")
    out, err = here("data", "check", file, "--bad-rows", tmp_path / "bad.tsv", code=1)
    assert "bad.csv:3: the text is empty" in out
    assert "2 of 3 rows" in err
    assert len((tmp_path / "bad.tsv").read_text(encoding="utf-8").splitlines()) == 3


def test_what_is_not_fetched_says_where_it_is(here: Here) -> None:
    assert "get it from" in here.error("data", "get", "multi30k")
    assert "did you mean 'cldr'" in here.error("data", "get", "cdlr")
