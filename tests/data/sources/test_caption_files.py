"""Caption files of one's own: what is tested on, and videos in an ordinary table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data.dataset import open_dataset
from glotclip.data.sources.caption_files import CaptionFiles
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.conftest import Film


def test_a_caption_file_with_a_column_of_videos(tmp_path: Path, film: Film) -> None:
    film(tmp_path / "dog.mp4", [0, 100])
    (tmp_path / "films.csv").write_text("video,lang,text,split\ndog.mp4,en,a dog,test\ndog.mp4,de,ein Hund,test\n")
    dataset = open_dataset(tmp_path / "films.csv")
    assert isinstance(dataset, CaptionFiles)
    benchmark = dataset.benchmark(["en", "de"])
    assert benchmark.medium == "video" and [path.name for path in benchmark.images] == ["dog.mp4"]


def test_a_column_of_files_may_hold_videos(tmp_path: Path, film: Film) -> None:
    film(tmp_path / "dog.MP4", [0, 100])
    (tmp_path / "files.tsv").write_text("file_name\tlang\tcaption\ndog.MP4\ten\ta dog\n")
    (row,) = open_dataset(tmp_path / "files.tsv").corpus(["en"]).rows
    assert row.image is None and row.video == tmp_path / "dog.MP4"


def test_what_says_its_splits_is_tested_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,lang,split\nein Hund,de,train\neine Katze,de,test\n")
    dataset = open_dataset(tmp_path / "a.csv", hold_out=0.5)
    assert [row.split for row in dataset.corpus(["de"]).rows] == ["train", "test"]
    assert "--hold-out 0.5 is not used" in " ".join(dataset.notes(["de"]))
    with pytest.raises(DataError, match="has no images in a split test or validation"):
        dataset.benchmark(["de"])


def test_too_many_rows_that_cannot_be_used_are_an_error_but_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,lang\nein Hund,de\n,de\n")
    dataset = CaptionFiles(tmp_path / "a.csv")
    assert (len(dataset.read().rows), len(dataset.read().skipped)) == (1, 1)
    with pytest.raises(DataError, match="1 of 2 rows"):
        dataset.rows()
