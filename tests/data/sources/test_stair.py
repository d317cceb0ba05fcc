from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glotclip.data.dataset import recognised
from glotclip.data.sources.stair import Stair

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def _annotations(*numbers: int) -> dict[str, object]:
    captions = [(number, f"犬が{k}匹いる") for number in numbers for k in (1, 2)]
    found = [{"id": index, "image_id": number, "caption": text} for index, (number, text) in enumerate(captions)]
    return {"annotations": found, "images": []}


def _stair(desk: Desk) -> Path:
    desk.json("stair_captions_v1.2_train.json", _annotations(1))
    desk.json("stair_captions_v1.2_val.json", _annotations(2, 3))
    return desk.root


def test_cocos_own_splits(desk: Desk) -> None:
    folder = _stair(desk)
    assert recognised(folder) is Stair
    corpus = Stair(folder).read()
    assert {(row.split, row.group) for row in corpus.rows} == {
        ("train", "COCO_train2014_000000000001.jpg"),
        ("validation", "COCO_val2014_000000000002.jpg"),
        ("validation", "COCO_val2014_000000000003.jpg"),
    }
    assert corpus.languages == ["ja"]
    assert all(row.english is None for row in corpus.rows)


def test_karpathys_splits_where_his_file_is(desk: Desk) -> None:
    folder = _stair(desk)
    images = [{"cocoid": 1, "split": "train"}, {"cocoid": 2, "split": "restval"}]
    desk.json("../coco/dataset_coco.json", {"images": images})
    corpus = Stair(folder).read()
    assert {row.split for row in corpus.rows} == {"train"}
    assert [item.reason for item in corpus.skipped] == ["image 3 is in none of Karpathy's splits"] * 2


def test_a_missing_part_and_damaged_annotations_are_listed(desk: Desk) -> None:
    desk.json("stair_captions_v1.2_val.json", {"annotations": [{"id": 7, "caption": "犬"}]})
    reasons = [item.reason for item in Stair(desk.root).read().skipped]
    assert reasons == [
        "stair_captions_v1.2_train.json is not there",
        "annotation 7 lacks an image_id or a caption",
    ]
