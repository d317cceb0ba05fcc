"""A list of one's own, and the ordinary caption file with a column of videos beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data.dataset import open_dataset
from glotclip.data.sources.video_list import VideoList
from glotclip.data.video_corpus import VideoCorpus
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.conftest import Film


def test_a_list_of_ones_own(tmp_path: Path, film: Film) -> None:
    film(tmp_path / "clips" / "dog.mp4", [0, 100])
    film(tmp_path / "clips" / "cat.webm", [0, 100], codec="libvpx-vp9")
    captions = {"en": ["a dog runs", "a dog"], "jp": ["犬が走る", "犬"], "de": "ein Hund"}
    lines = [
        {"id": "dog-1", "path": "clips/dog.mp4", "captions": captions, "split": "test"},
        {"path": "clips/cat.webm", "captions": {"en": ["a cat"]}, "split": "val"},
        {"id": 3, "path": "gone.mp4", "captions": {"en": ["a bird", " "], "xx-nope": ["?"]}, "split": "test"},
        {"id": "no path", "captions": {"en": ["a fish"]}},
        {"id": "bad", "path": "clips/dog.mp4", "captions": {"en": 5}},
        {"id": "bad split", "path": "clips/dog.mp4", "captions": {}, "split": "tset"},
    ]
    path = tmp_path / "films.jsonl"
    path.write_text("\n".join([*map(json.dumps, lines), "{", ""]))
    dataset = open_dataset(path)
    assert isinstance(dataset, VideoCorpus) and dataset.languages() == ["en", "ja", "de"]
    corpus = dataset.corpus(["ja"])
    by_text = {row.text: row for row in corpus.rows}
    assert by_text["犬"].english == "a dog" and by_text["ein Hund"].english is None
    assert by_text["a cat"].split == "validation" and by_text["a cat"].group == "clips/cat.webm"
    assert by_text["a bird"].video is None
    reasons = {item.line: item.reason for item in corpus.skipped}
    assert reasons[3] == "the video 3 is missing" and "path" in reasons[4] and "en captions" in reasons[5]
    assert "unknown split" in reasons[6] and "JSON" in reasons[7] and len(corpus.skipped) == 7
    benchmark = dataset.benchmark(["en", "de"])
    assert len(benchmark.images) == 1 and "1 of 2 videos" in benchmark.protocol
    assert len(benchmark.captions["en"]) == 2


def test_a_list_without_anything_usable(tmp_path: Path) -> None:
    path = tmp_path / "films.jsonl"
    path.write_text('{"captions": {"en": "a"}}\n')
    assert VideoList.recognises(str(path))
    with pytest.raises(DataError, match='line 1: the line has no "path"'):
        VideoList(path).read()
    for other in ('{"text": "a", "lang": "en"}\n', "", "{\n"):
        path.write_text(other)
        assert not VideoList.recognises(str(path))
