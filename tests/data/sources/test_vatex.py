"""VATEX on small files of its own format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data import catalog
from glotclip.data.dataset import open_dataset
from glotclip.data.sources.vatex import Vatex
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.conftest import Film
    from tests.data.conftest import Desk

NAMES = ("Ptf_2VRj-V0_000122_000132", "9u7Fu8gpGzA_000000_000010", "-7KMZQEsJW4_000205_000215")


def write(folder: Path, name: str, names: tuple[str, ...], *, chinese: bool = True) -> Path:
    content = [
        {
            "videoID": each,
            "enCap": [f"caption {k} of {each[:3]}" for k in range(10)],
            **({"chCap": [f"{each[:3]}的第{k}句" for k in range(10)]} if chinese else {}),
        }
        for each in names
    ]
    path = folder / name
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def test_both_languages_and_the_pool(tmp_path: Path, film: Film) -> None:
    write(tmp_path, "vatex_training_v1.0.json", NAMES[:1])
    write(tmp_path, "vatex_validation_v1.0.json", NAMES[1:])
    film(tmp_path / "clips" / f"{NAMES[2]}.webm", [0, 100], codec="libvpx-vp9")
    dataset = open_dataset(tmp_path)
    assert dataset.languages() == ["en", "zh"]
    rows = dataset.corpus(["zh"]).rows
    assert len(rows) == 60 and {row.split for row in rows if row.group == NAMES[0]} == {"train"}
    chinese = [row for row in rows if row.group == NAMES[1] and row.lang == "zh"]
    assert [row.english for row in chinese] == [None] * 5 + [f"caption {k} of 9u7" for k in range(5, 10)]
    benchmark = dataset.benchmark(["en", "zh"])
    assert [path.name for path in benchmark.images] == [f"{NAMES[2]}.webm"]
    assert len(benchmark.captions["zh"]) == 10
    assert "1 of 2 videos" in benchmark.protocol and "split validation" in benchmark.protocol
    assert len(benchmark.skipped) == 1 and NAMES[1] in benchmark.skipped[0].reason


def test_a_division_of_ones_own_overrules(tmp_path: Path) -> None:
    write(tmp_path, "vatex_validation_v1.0.json", NAMES)
    (tmp_path / "test_list.txt").write_text(f"{NAMES[0]}\n{NAMES[2]}\n")
    (tmp_path / "train_list.json").write_text(json.dumps([NAMES[1]]))
    found = Vatex(tmp_path)
    assert found.assembled.listed == {"test": 2, "train": 1}
    assert found.pool("test") == "0 of 2 videos"


def test_english_alone_and_one_file(tmp_path: Path) -> None:
    path = write(tmp_path, "vatex_public_test_english_v1.1.json", NAMES, chinese=False)
    found = Vatex(path)
    assert Vatex.recognises(str(path)) and found.rows().languages == ["en"] and found.assembled.listed == {"test": 3}


def test_damaged_files(tmp_path: Path) -> None:
    assert not Vatex.recognises(str(tmp_path))
    with pytest.raises(DataError, match="holds no vatex"):
        Vatex(tmp_path).read()
    (tmp_path / "vatex_training.json").write_text('{"videoID": 1}')
    with pytest.raises(DataError, match="not an array of objects"):
        Vatex(tmp_path).read()
    (tmp_path / "vatex_training.json").write_text('[{"videoID": "a", "enCap": "words"}]')
    with pytest.raises(DataError, match="that are no texts"):
        Vatex(tmp_path).read()
    (tmp_path / "vatex_training.json").write_text('[{"videoID": "a"}]')
    with pytest.raises(DataError, match="holds no captions"):
        Vatex(tmp_path).read()


def test_counts(desk: Desk) -> None:
    def item(number: int, **captions: list[str]) -> dict[str, object]:
        return {"videoID": f"abcdefghijk_{number:06d}_{number + 10:06d}", **captions}

    both = [item(number, enCap=["a"] * 10, chCap=["一"] * 10) for number in range(2)]
    desk.json("vatex_training_v1.0.json", both)
    desk.json("vatex_validation_v1.0.json", both[:1])
    desk.json("vatex_public_test_english_v1.1.json", [item(9, enCap=["a"] * 10)])
    counts = Vatex(desk.root).counts()
    assert counts == {
        "train videos": 2,
        "train captions en": 20,
        "train captions zh": 20,
        "validation videos": 1,
        "validation captions en": 10,
        "validation captions zh": 10,
        "test videos": 1,
        "test captions en": 10,
    }
    assert set(catalog.dataset("vatex").counts) <= set(counts)


def test_counts_of_damaged_annotations(desk: Desk) -> None:
    desk.json("vatex_training_v1.0.json", {"videoID": "x"})
    with pytest.raises(DataError, match="not an array of objects"):
        Vatex(desk.root).counts()
