from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from glotclip.data.reading import ReadingOptions
from glotclip.data.schema import Row
from glotclip.data.sources.video_list import VideoList
from glotclip.data.video_corpus import Clip, VideoIndex, aligned_rows

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def test_captions_as_many_as_the_english_ones_are_their_translations() -> None:
    rows = aligned_rows({"de": ["ein Hund", "eine Katze"], "en": ["a dog", "a cat"], "fr": ["un chien"]})
    assert [(row.lang, row.text, row.english) for row in rows] == [
        ("de", "ein Hund", "a dog"),
        ("de", "eine Katze", "a cat"),
        ("en", "a dog", None),
        ("en", "a cat", None),
        ("fr", "un chien", None),
    ]


def test_files_are_found_by_path_or_by_name(desk: Desk) -> None:
    there = desk.bytes("deep/er/1.webm")
    named, pathed = Clip("1", "", [], Path("list")), Clip("x", "", [], Path("list"), "deep/er/1.webm")
    assert VideoIndex(desk.root).find(named) == there == VideoIndex(desk.root).find(pathed)
    assert VideoIndex(desk.root, by_name=False).find(named) is None
    assert VideoIndex(desk.root / "nowhere").find(named) is None


def _list(desk: Desk, count: int) -> Path:
    lines = []
    for number in range(count):
        desk.bytes(f"{number}.mp4", b"%d" % number)
        captions = {"en": [f"video {number}"], "de": [f"Film {number}"]}
        lines.append(json.dumps({"path": f"{number}.mp4", "captions": captions}))
    return desk.lines("films.jsonl", lines)


def test_a_share_is_held_out_where_no_list_says_a_split(desk: Desk) -> None:
    path = _list(desk, 40)
    corpus = VideoList(path, ReadingOptions(hold_out=0.5)).rows()
    assert not corpus.divided and {row.split for row in corpus.rows} == {"train", "test"}
    assert any("held out for testing" in note for note in corpus.notes)
    assert {row.split for row in VideoList(path, ReadingOptions(hold_out=0)).rows().rows} == {"train"}
    assert {row.split for row in VideoList(path).read().rows} == {"train"}  # as it stands in the file
    benchmark = VideoList(path, ReadingOptions(hold_out=0.5)).benchmark(["de"])
    assert benchmark.languages == ["de"] and "0.5 held out by glotclip" in benchmark.protocol


def test_a_video_listed_twice_counts_once_and_missing_ones_are_said(desk: Desk) -> None:
    path = _list(desk, 3)
    again = json.dumps({"path": "0.mp4", "captions": {"fr": ["vidéo"]}, "split": "test"})
    gone = json.dumps({"path": "gone.mp4", "captions": {"en": ["gone"]}})
    dataset = VideoList(desk.lines("films.jsonl", [*path.read_text().splitlines(), again, gone]))
    assert dataset.assembled.listed == {"train": 4} and dataset.pool("train") == "3 of 4 videos"
    assert [item.reason for item in dataset.rows().skipped] == ["the video gone.mp4 is missing"]
    assert [row for row in dataset.rows().rows if row.lang == "fr"] == [
        Row("vidéo", "fr", video=desk.root / "0.mp4", group="0.mp4")
    ]
