"""``data``: the catalogue, and the check of one's own files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World


def test_list_names_licence_and_source(here: Here) -> None:
    value = here.json("data", "list")
    assert [dataset["name"] for dataset in value][:2] == ["emoji", "emoji-google"]
    assert all(dataset["licence"] and dataset["source"] for dataset in value)
    assert "glotclip data get emoji-google" in here("data", "list")[0]


def test_check_of_the_embedded_dataset(here: Here) -> None:
    found = here.json("data", "check", "emoji")["found"]
    assert found["concepts"] == 1644
    assert found["train"] + found["validation"] + found["test"] == 1644


def test_check_of_a_file(world: World, here: Here) -> None:
    value = here.json("data", "check", world.captions)
    assert value["languages"]["de"] == {"train": 9, "test": 3}
    assert value["skipped"] == []


def test_check_of_a_bad_file_lists_the_rows_and_fails(world: World, here: Here, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("text,lang\nHund,de\n,de\nKatze,xx-bad-code-\n", encoding="utf-8")
    out, err = here("data", "check", file, "--bad-rows", tmp_path / "bad.tsv", code=1)
    assert "bad.csv:3: the text is empty" in out
    assert "2 of 3 rows" in err
    assert len((tmp_path / "bad.tsv").read_text(encoding="utf-8").splitlines()) == 3


def _multi30k(folder: Path, korean: str = "개가 달린다") -> Path:
    """A small folder in Multi30K's layout, with a language of our own."""
    for lang, line in {"en": "a dog runs", "it": "un cane corre", "ko": korean}.items():
        for split in ("train", "val", "test_2016_flickr"):
            lines = [f"{line} {number}" for number in range(5)]
            (folder / f"{split}.{lang}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_check_compares_counts_with_the_owners(here: Here, tmp_path: Path) -> None:
    out, err = here("data", "check", "multi30k", _multi30k(tmp_path), code=1)
    assert "train captions ko: found 5, expected 29,000" in out
    assert "lines that cannot be used: found 0, as expected" in out
    assert "multi30k is not as its owner released it" in err
    assert "github.com/multi30k/dataset" in err
    assert "expected train.en.gz" in here.error("data", "check", "multi30k", tmp_path / "nowhere")
    assert "name it: `glotclip data check stair DIR`" in here.error("data", "check", "stair")


def test_check_recognises_a_folder_of_the_field(here: Here, tmp_path: Path) -> None:
    assert here.json("data", "check", _multi30k(tmp_path))["languages"]["ko"] == {
        "train": 5,
        "validation": 5,
        "test": 5,
    }


def test_parallel_text(here: Here, tmp_path: Path) -> None:
    out, _ = here("data", "parallel", _multi30k(tmp_path), "--no-language")
    assert "9 files, 45 lines" in out
    assert "0 faults" in out
    _multi30k(tmp_path, korean="un cane corre")
    out, err = here("data", "parallel", tmp_path, "--no-language", code=1)
    assert "fault: train.ko: same text under two languages, 5 of 5 (the other is train.it)" in out
    assert "fault: train.ko: wrong script, 5 of 5" in out
    assert "has 6 faults" in err


def test_what_is_not_fetched_says_where_it_is(here: Here) -> None:
    assert "get it from" in here.error("data", "get", "multi30k")
    assert "did you mean 'emoji-google'" in here.error("data", "get", "emoji-gogle")


def test_dictionaries_are_fetched_by_language(here: Here) -> None:
    assert "is fetched by language" in here.error("data", "get", "freedict", code=2)
    assert "--lang has no meaning for emoji-google" in here.error(
        "data", "get", "emoji-google", "--lang", "de", code=2
    )
    assert "`glotclip data get freedict --lang CODE`" in here("data", "list")[0]


def test_a_word_list_is_checked_as_any_file(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "deu-eng.tsv"
    path.write_text("Hund\tdog\nKatze\tcat <n>\nHaus\t<b>house</b>\n", encoding="utf-8")
    found = here.json("data", "check", path)
    assert found["languages"] == {"de": {"train": 3}}
    assert "HTML tags 2" in found["notes"][0] and "3 pairs are too few" in found["notes"][1]


def test_parallel_text_is_checked_by_its_name(here: Here, tmp_path: Path) -> None:
    (tmp_path / "tatoeba.deu-eng.deu").write_text("Ein Hund.\n", encoding="utf-8")
    (tmp_path / "tatoeba.deu-eng.eng").write_text("A dog.\n", encoding="utf-8")
    assert here.json("data", "check", "tatoeba", tmp_path)["found"] == {"pairs de": 1}
    assert "holds no files of ntrex" in here.error("data", "check", "ntrex", tmp_path)
