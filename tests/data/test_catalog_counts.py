from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data import catalog, catalog_counts
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def test_msrvtt(desk: Desk) -> None:
    videos = [{"video_id": f"video{number}"} for number in range(3)]
    sentences = [{"video_id": "video0", "caption": text} for text in ("a", "b", "c", "d")]
    desk.json("MSRVTT_data.json", {"videos": videos, "sentences": sentences})
    desk.lines("MSRVTT_train.9k.csv", ["video_id", "video0", "video1"])
    desk.lines("MSRVTT_JSFUSION_test.csv", ["key,vid_key,video_id,sentence", 'ret0,msr0,video2,"a, b"'])
    desk.json("multilingual_test/test_de.json", {"video2.mp4": ["eins"]})
    desk.bytes("MSRVTT_Videos/video0.mp4")
    counts = catalog_counts.of_msrvtt(desk.root)
    assert counts == {
        "videos": 3,
        "sentences": 4,
        "train 9k videos": 2,
        "test 1k-A videos": 1,
        "test videos de": 1,
        "video files": 1,
    }
    assert set(catalog.dataset("msr-vtt").expected) <= set(counts)


def test_vatex(desk: Desk) -> None:
    def item(number: int, **captions: list[str]) -> dict[str, object]:
        return {"videoID": f"abcdefghijk_{number:06d}_{number + 10:06d}", **captions}

    both = [item(number, enCap=["a"] * 10, chCap=["一"] * 10) for number in range(2)]
    desk.json("vatex_training_v1.0.json", both)
    desk.json("vatex_validation_v1.0.json", both[:1])
    desk.json("vatex_public_test_english_v1.1.json", [item(9, enCap=["a"] * 10)])
    counts = catalog_counts.of_vatex(desk.root)
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
    assert set(catalog.dataset("vatex").expected) <= set(counts)


def test_damaged_annotations(desk: Desk) -> None:
    desk.json("vatex_training_v1.0.json", {"videoID": "x"})
    with pytest.raises(DataError, match="not an array of objects"):
        catalog_counts.of_vatex(desk.root)
