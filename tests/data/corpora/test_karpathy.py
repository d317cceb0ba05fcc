from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data import corpora
from glotclip.data.corpora.karpathy import COCO, FLICKR30K
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def _image(number: int, split: str, part: str = "val2014", captions: int = 5) -> dict[str, object]:
    name = f"COCO_{part}_{number:012d}.jpg"
    sentences = [{"raw": f"caption {index} of {number}", "tokens": [], "sentid": index} for index in range(captions)]
    return {"filepath": part, "filename": name, "cocoid": number, "split": split, "sentences": sentences}


def _coco(desk: Desk) -> Path:
    images = [
        _image(1, "train", "train2014"),
        _image(2, "restval"),
        _image(3, "val"),
        _image(4, "test", captions=6),
    ]
    desk.json("dataset_coco.json", {"images": images, "dataset": "coco"})
    return desk.root


def test_restval_is_trained_on(desk: Desk) -> None:
    counts = COCO.counts(_coco(desk))
    assert {name: counts[name] for name in counts if " images " in name} == {
        "train images en": 2,
        "validation images en": 1,
        "test images en": 1,
    }
    assert counts["test captions en"] == 6
    corpus = COCO.read(desk.root)
    assert corpus.rows[0].text == "caption 0 of 1"
    assert corpus.rows[0].group == "COCO_train2014_000000000001.jpg"


def test_pictures_of_coco(desk: Desk) -> None:
    folder = _coco(desk)
    desk.bytes("../MSCOCO/val2014/COCO_val2014_000000000002.jpg")
    corpus = COCO.read(folder)
    images = {row.group: row.image for row in corpus.rows}
    assert images["COCO_train2014_000000000001.jpg"] is None  # there is no folder of them
    found = images["COCO_val2014_000000000002.jpg"]
    assert found is not None
    assert found.is_file()
    assert len(corpus.skipped) == 11  # the captions of the two that are missing from the folder there is
    flat = COCO.read(folder, images=folder / "../MSCOCO/val2014")
    assert {row.group for row in flat.rows} == {"COCO_val2014_000000000002.jpg"}


def test_flickr30k(desk: Desk) -> None:
    sentences = [{"raw": f"caption {index}"} for index in range(5)]
    images = [{"filename": f"{number}.jpg", "split": "train", "sentences": sentences} for number in range(2)]
    desk.json("dataset_flickr30k.json", {"images": [*images, {"filename": "9.jpg", "split": "odd", "sentences": []}]})
    desk.bytes("flickr30k-images/0.jpg")
    desk.bytes("flickr30k-images/1.jpg")
    assert corpora.layout_of(desk.root) is FLICKR30K
    corpus = FLICKR30K.read(desk.root)
    assert len(corpus) == 10
    assert {row.image for row in corpus.rows} == set((desk.root / "flickr30k-images").iterdir())
    assert [bad.reason for bad in corpus.skipped] == ["picture 2 lacks a filename, a known split or sentences"]


def test_a_file_of_another_shape(desk: Desk) -> None:
    desk.json("dataset_coco.json", [1, 2])
    with pytest.raises(DataError, match='not an object with an array "images"'):
        COCO.read(desk.root)
    desk.bytes("dataset_coco.json", b'{"images": [')
    with pytest.raises(DataError, match="not valid JSON"):
        COCO.counts(desk.root)
