from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data.dataset import recognised
from glotclip.data.reading import ReadingOptions
from glotclip.data.sources.karpathy import Coco, Flickr30K
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
    counts = Coco(_coco(desk)).counts()
    assert {name: counts[name] for name in counts if " images " in name} == {
        "train images en": 2,
        "validation images en": 1,
        "test images en": 1,
    }
    assert counts["test captions en"] == 6
    corpus = Coco(desk.root).read()
    assert corpus.rows[0].text == "caption 0 of 1"
    assert corpus.rows[0].group == "COCO_train2014_000000000001.jpg"


def test_images_of_coco(desk: Desk) -> None:
    folder = _coco(desk)
    desk.bytes("../MSCOCO/val2014/COCO_val2014_000000000002.jpg")
    corpus = Coco(folder).read()
    images = {row.group: row.image for row in corpus.rows}
    assert images["COCO_train2014_000000000001.jpg"] is None  # there is no folder of them
    found = images["COCO_val2014_000000000002.jpg"]
    assert found is not None
    assert found.is_file()
    assert len(corpus.skipped) == 11  # the captions of the two that are missing from the folder there is
    flat = Coco(folder, ReadingOptions(images=folder / "../MSCOCO/val2014")).read()
    assert {row.group for row in flat.rows} == {"COCO_val2014_000000000002.jpg"}


def test_flickr30k(desk: Desk) -> None:
    sentences = [{"raw": f"caption {index}"} for index in range(5)]
    images = [{"filename": f"{number}.jpg", "split": "train", "sentences": sentences} for number in range(2)]
    desk.json("dataset_flickr30k.json", {"images": [*images, {"filename": "9.jpg", "split": "odd", "sentences": []}]})
    desk.bytes("flickr30k-images/0.jpg")
    desk.bytes("flickr30k-images/1.jpg")
    assert recognised(desk.root) is Flickr30K
    corpus = Flickr30K(desk.root).read()
    assert len(corpus) == 10
    assert {row.image for row in corpus.rows} == set((desk.root / "flickr30k-images").iterdir())
    assert [item.reason for item in corpus.skipped] == ["image 2 lacks a filename, a known split or sentences"]


def test_a_file_of_another_shape(desk: Desk) -> None:
    desk.json("dataset_coco.json", [1, 2])
    with pytest.raises(DataError, match='not an object with an array "images"'):
        Coco(desk.root).read()
    desk.bytes("dataset_coco.json", b'{"images": [')
    with pytest.raises(DataError, match="not valid JSON"):
        Coco(desk.root).counts()
