from __future__ import annotations

import json
from typing import TYPE_CHECKING

from glotclip.data.dataset import recognised
from glotclip.data.sources.caption_files import CaptionFiles
from glotclip.data.sources.xm3600 import XM3600

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def test_the_owners_file(desk: Desk) -> None:
    def line(key: str) -> str:
        captions = {lang: {"caption": [f"{lang} {key} {k}" for k in (1, 2)]} for lang in ("de", "quz")}
        return json.dumps({"image/key": key, "image/locale": "de", **captions})

    desk.lines("captions.jsonl", [line("0a"), line("0b")])
    desk.bytes("images/0a.jpg")
    assert recognised(desk.root) is XM3600
    assert XM3600(desk.root).languages() == ["de", "quz"]
    corpus = XM3600(desk.root).read(["quz"])
    assert [(row.text, row.group, row.split) for row in corpus.rows] == [
        ("quz 0a 1", "0a", "test"),
        ("quz 0a 2", "0a", "test"),
    ]
    assert [item.reason for item in corpus.skipped] == ["the image 0b.jpg does not exist"] * 2
    counts = XM3600(desk.root).counts()
    assert (counts["test images de"], counts["captions"], counts["missing image files"]) == (2, 8, 1)


def test_cll_clips_annotations(desk: Desk) -> None:
    items = [{"image": "0a.jpg", "locale": "de", "caption": ["eins", "zwei"], "image_id": 0}, {"image": "0b.jpg"}]
    for lang in ("en", "de"):
        desk.json(f"data/annotations/xm3600/{lang}/test.json", items)
    desk.bytes("data/XM3600/0a.jpg")
    assert recognised(desk.root) is XM3600
    corpus = XM3600(desk.root).read(["de"])
    assert [row.text for row in corpus.rows] == ["eins", "zwei"]
    assert all(row.english is None and row.image is not None for row in corpus.rows)
    assert [item.reason for item in corpus.skipped] == ["the image lacks its key or de captions"]


def test_another_captions_file_is_not_taken_for_it(desk: Desk) -> None:
    desk.lines("captions.jsonl", ['{"text": "ein Hund", "lang": "de"}'])
    assert recognised(desk.root) is CaptionFiles
