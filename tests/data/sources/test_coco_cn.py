from __future__ import annotations

from typing import TYPE_CHECKING

from glotclip.data.dataset import recognised
from glotclip.data.sources.coco_cn import CocoCN

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def test_captions_split_by_the_lists(desk: Desk) -> None:
    inner = "coco-cn-version1805v1.1"
    desk.lines(f"{inner}/coco-cn_train.txt", ["COCO_train2014_000000000001"])
    desk.lines(f"{inner}/coco-cn_val.txt", ["COCO_val2014_000000000002"])
    desk.lines(
        f"{inner}/imageid.human-written-caption.txt",
        [
            "COCO_train2014_000000000001#0\t一只狗",
            "COCO_train2014_000000000001#1 两只狗 在跑",  # a space instead of the tab
            "COCO_val2014_000000000002#0\t一只猫",
            "COCO_val2014_000000000009#0\t没有",
            "",
        ],
    )
    desk.lines(f"{inner}/imageid.manually-translated-caption.txt", ["COCO_val2014_000000000002#0\t不读"])
    desk.bytes("../train2014/COCO_train2014_000000000001.jpg")
    assert recognised(desk.root) is CocoCN
    assert CocoCN(desk.root / inner).languages() == ["zh"]
    corpus = CocoCN(desk.root).read()
    assert [(row.text, row.split) for row in corpus.rows] == [
        ("一只狗", "train"),
        ("两只狗 在跑", "train"),
        ("一只猫", "validation"),
    ]
    assert corpus.rows[0].image is not None
    assert corpus.rows[2].image is None
    assert [(item.line, item.reason) for item in corpus.skipped] == [
        (None, "the file is not there"),
        (4, "'COCO_val2014_000000000009#0' is no image of the lists"),
    ]
