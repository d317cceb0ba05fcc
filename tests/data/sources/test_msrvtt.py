"""MSR-VTT on small files of its own format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data import catalog
from glotclip.data.dataset import open_dataset
from glotclip.data.reading import ReadingOptions
from glotclip.data.sources.msrvtt import MsrVtt
from glotclip.data.video import Sampling
from glotclip.data.video_corpus import VideoCorpus
from glotclip.errors import DataError, LanguageError

if TYPE_CHECKING:
    from tests.conftest import Film
    from tests.data.conftest import Desk


def lists(folder: Path) -> Path:
    """Seven videos: 0–2 to train (0 in 9k alone), 3 in no list, 7–9 to test."""
    folder.mkdir(parents=True)
    (folder / "MSRVTT_JSFUSION_test.csv").write_text(
        "key,vid_key,video_id,sentence\n"
        'ret0,msr7,video7,"a woman, talking"\nret1,msr8,video8,two men dance\nret2,msr9,video9,a car\n'
    )
    (folder / "MSRVTT_train.9k.csv").write_text("video_id\nvideo0\nvideo1\nvideo2\n")
    (folder / "MSRVTT_train.7k.csv").write_text("video_id\nvideo1\nvideo2\n")
    numbers = (0, 1, 2, 3, 7, 8, 9)
    data = {
        "videos": [{"video_id": f"video{number}", "split": "train"} for number in numbers],
        "sentences": [
            {"video_id": f"video{number}", "caption": f"caption {k} of {number}", "sen_id": 20 * number + k}
            for number in numbers
            for k in (0, 1)
        ],
    }
    (folder / "MSRVTT_data.json").write_text(json.dumps(data))
    return folder


def nine(folder: Path) -> None:
    """German and Swahili beside the lists."""
    for kind, name in (("multilingual_test", "test_{}"), ("multilingual_train", "ref_captions_{}")):
        (folder / kind).mkdir()
        for lang in ("de", "sw", "en"):
            numbers = (7, 8, 9) if kind.endswith("test") else (0, 1, 2)
            captions = {f"video{n}.mp4": [f"{lang} {n} {k}" for k in (0, 1)] for n in numbers}
            (folder / kind / f"{name.format(lang)}.json").write_text(json.dumps(captions))
    (folder / "multilingual_train" / "ref_captions_all.json").write_text(json.dumps({"video0.mp4": ["de 0", "x"]}))


def test_clip4clips_pack(tmp_path: Path, film: Film) -> None:
    lists(tmp_path / "msrvtt")
    for number in (0, 1, 7, 9):
        film(tmp_path / "msrvtt" / "MSRVTT_Videos" / f"video{number}.mp4", [0, 100])
    dataset = open_dataset(tmp_path / "msrvtt")
    assert isinstance(dataset, VideoCorpus) and dataset.languages() == ["en"]
    corpus = dataset.corpus(["en"])
    train = [row for row in corpus.rows if row.split == "train"]
    assert [row.text for row in train][:3] == ["caption 0 of 0", "caption 1 of 0", "caption 0 of 1"]
    assert [row.video is None for row in train] == [False] * 4 + [True] * 2  # video2's captions stay as text
    assert {row.group for row in corpus.rows} == {f"video{number}" for number in (0, 1, 2, 7, 8, 9)}
    assert sorted(item.reason for item in corpus.skipped) == [
        "the video video2 is missing",
        "the video video8 is missing",
    ]
    benchmark = dataset.benchmark(["en"])
    assert [path.name for path in benchmark.images] == ["video7.mp4", "video9.mp4"]
    assert [(each.text, each.image) for each in benchmark.captions["en"]] == [("a woman, talking", 0), ("a car", 1)]
    assert "2 of 3 videos of the split are there" in benchmark.protocol and "1K-A" in benchmark.protocol
    assert [item.reason for item in benchmark.skipped] == ["the video video8 is missing"]
    assert benchmark.sampling == corpus.sampling == Sampling(12, "fps", 1.0)
    assert "1 frame a second, at most 12" in benchmark.protocol
    with pytest.raises(LanguageError, match="no captions in de"):
        dataset.corpus(["de"])


def test_the_shorter_list_of_training_videos(tmp_path: Path) -> None:
    folder = lists(tmp_path / "msrvtt")
    (folder / "MSRVTT_train.9k.csv").unlink()
    found = MsrVtt(folder)
    assert {row.group for row in found.rows().rows if row.split == "train"} == {"video1", "video2"}
    assert [item.reason for item in found.rows().skipped] == ["none of 5 videos is there; captions stay as text"]
    assert found.pool("test") == "0 of 3 videos"
    assert found.benchmark_of(["en"], "test") is None


def test_nine_languages(tmp_path: Path, film: Film) -> None:
    annotations = lists(tmp_path / "msrvtt" / "annotations")
    nine(annotations)
    for number in (0, 7, 8, 9):
        film(tmp_path / "elsewhere" / "all" / f"video{number}.avi", [0, 100], codec="mpeg4")
    found = MsrVtt(tmp_path / "msrvtt", ReadingOptions(images=tmp_path / "elsewhere"))
    assert found.rows().languages == ["en", "de", "sw"]
    rows = {(row.group, row.lang): row for row in reversed(found.rows().rows)}
    assert rows["video0", "de"].text == "de 0 0" and rows["video0", "de"].english == "en 0 0"
    assert rows["video7", "sw"].text == "sw 7 0" and rows["video7", "sw"].english == "a woman, talking"
    assert sum(row.group == "video7" for row in found.rows().rows) == 3  # one caption a language tests
    assert found.rows().skipped[0].reason == "its captions do not say their languages"
    benchmark = found.benchmark_of(["sw", "en"], "test")
    assert benchmark is not None
    assert benchmark.languages == ["en", "sw"] and len(benchmark.images) == 3
    assert "3 of 3 videos" in benchmark.protocol and "captions: en 3, sw 3" in benchmark.protocol


def test_the_nine_languages_alone(tmp_path: Path) -> None:
    (tmp_path / "msrvtt").mkdir()
    nine(tmp_path / "msrvtt")
    found = MsrVtt(tmp_path / "msrvtt")
    assert found.assembled.listed == {"test": 3, "train": 3}
    assert {row.lang for row in found.rows().rows if row.split == "test"} == {"en", "de", "sw"}


def test_the_owners_splits_without_any_list(tmp_path: Path) -> None:
    videos = [{"video_id": f"video{n}", "split": s} for n, s in enumerate(("train", "validate", "test"))]
    sentences = [{"video_id": f"video{n}", "caption": "words"} for n in range(3)]
    (tmp_path / "MSRVTT_data.json").write_text(json.dumps({"videos": videos, "sentences": sentences}))
    assert MsrVtt(tmp_path).assembled.listed == {"train": 1, "validation": 1, "test": 1}


def test_damaged_lists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no lists of MSR-VTT"):
        MsrVtt(tmp_path).read()
    (tmp_path / "MSRVTT_data.json").write_text("[]")
    with pytest.raises(DataError, match='an array "sentences"'):
        MsrVtt(tmp_path).read()
    (tmp_path / "MSRVTT_data.json").write_text('{"videos": [], "sentences": []}')
    (tmp_path / "MSRVTT_JSFUSION_test.csv").write_text("video,sentence\n1,a\n")
    with pytest.raises(DataError, match="no column 'video_id'"):
        MsrVtt(tmp_path).read()
    (tmp_path / "MSRVTT_JSFUSION_test.csv").unlink()
    (tmp_path / "multilingual_test").mkdir()
    (tmp_path / "multilingual_test" / "test_de.json").write_text('{"video1.mp4": "a"}')
    with pytest.raises(DataError, match="is not an object"):
        MsrVtt(tmp_path).read()


def test_counts(desk: Desk) -> None:
    videos = [{"video_id": f"video{number}"} for number in range(3)]
    sentences = [{"video_id": "video0", "caption": text} for text in ("a", "b", "c", "d")]
    desk.json("MSRVTT_data.json", {"videos": videos, "sentences": sentences})
    desk.lines("MSRVTT_train.9k.csv", ["video_id", "video0", "video1"])
    desk.lines("MSRVTT_JSFUSION_test.csv", ["key,vid_key,video_id,sentence", 'ret0,msr0,video2,"a, b"'])
    desk.json("multilingual_test/test_de.json", {"video2.mp4": ["eins"]})
    desk.bytes("MSRVTT_Videos/video0.mp4")
    counts = MsrVtt(desk.root).counts()
    assert counts == {
        "videos": 3,
        "sentences": 4,
        "train 9k videos": 2,
        "test 1k-A videos": 1,
        "test videos de": 1,
        "video files": 1,
    }
    assert set(catalog.dataset("msr-vtt").counts) <= set(counts)
