"""How data of every kind is opened: images elsewhere, a language said for all, options that have no meaning."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glotclip.data.dataset import PathDataset, open_dataset, register
from glotclip.data.reading import Reading
from glotclip.data.schema import Corpus, Row
from glotclip.errors import ConfigError, DataError, LanguageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def table(desk: Desk) -> Path:
    return desk.lines("captions.csv", ["image,text,lang,split", "sub/1.jpg,ein Hund,de,test"])


def json_lines(desk: Desk) -> Path:
    return desk.json("captions.jsonl", {"image": "sub/1.jpg", "text": "ein Hund", "lang": "de", "split": "test"})


def sidecars(desk: Desk) -> Path:
    return desk.lines("folder/test/sub/1.de.txt", ["ein Hund"]).parents[2]


def corpus(desk: Desk) -> Path:
    desk.lines("multi30k/data/task1/raw/train.en", ["a dog"])
    desk.lines("multi30k/data/task1/raw/train.de", ["ein Hund"])
    desk.lines("multi30k/data/task1/raw/test_2016_flickr.en", ["a dog"])
    desk.lines("multi30k/data/task1/raw/test_2016_flickr.de", ["ein Hund"])
    desk.lines("multi30k/data/task1/image_splits/train.txt", ["0.jpg"])
    desk.lines("multi30k/data/task1/image_splits/test_2016_flickr.txt", ["1.jpg"])
    return desk.root / "multi30k"


def videos(desk: Desk) -> Path:
    entry = {"id": "1", "path": "sub/1.mp4", "captions": {"de": ["ein Hund"]}, "split": "test"}
    return desk.json("films.jsonl", entry)


def table_of_videos(desk: Desk) -> Path:
    return desk.lines("films.csv", ["path,text,lang,split", "sub/1.mp4,ein Hund,de,test"])


KINDS = [table, json_lines, sidecars, corpus, videos, table_of_videos]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flat", [False, True])
def test_images_may_lie_elsewhere(kind: Any, flat: bool, desk: Desk, tmp_path: Path) -> None:
    if kind is videos and flat:
        pytest.skip("a list of videos says where each lies")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = kind(desk)
    if kind is not videos and kind is not sidecars:
        assert open_dataset(path, max_skipped=1.0) is not None if kind is not table_of_videos else True
    for name in ("0.jpg", "1.jpg", "1.mp4"):
        place = elsewhere / ("" if flat else "test/sub" if kind is sidecars else "sub") / name
        place = elsewhere / name if kind is corpus else place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"x")
    found = open_dataset(path, images=elsewhere).benchmark(["de"])
    assert [image.parent.is_relative_to(elsewhere) for image in found.images] == [True]
    with pytest.raises((DataError, ConfigError)):
        open_dataset(path, images=tmp_path / "none").benchmark(["de"])


@pytest.mark.parametrize("kind", [table, sidecars, corpus])
def test_a_folder_that_is_named_and_holds_none_of_the_images_is_no_secret(
    kind: Any, desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"1 of 1|2 of 2|4 of 4|no image"):
        open_dataset(kind(desk), images=tmp_path / "empty").corpus(["de"])


def test_a_language_for_all(desk: Desk) -> None:
    path = desk.lines("captions.csv", ["text,english", "ein Hund,a dog"])
    with pytest.raises(DataError, match="no column 'lang'") as caught:
        open_dataset(path).languages()
    assert "--default-lang" in caught.value.hint
    assert open_dataset(path, default_lang="de").languages() == ["de"]
    with pytest.raises(LanguageError, match="unknown language code"):
        open_dataset(path, default_lang="german").languages()
    desk.bytes("folder/a.jpg")
    folder = desk.lines("folder/a.txt", ["ein Hund"]).parent
    assert open_dataset(folder, default_lang="de").languages() == ["de"]


def test_more_rows_may_be_unusable_where_that_is_said(desk: Desk) -> None:
    path = desk.lines("captions.csv", ["text,lang", "ein Hund,de", ",de", "NaN,de"])
    with pytest.raises(DataError, match="2 of 3 rows") as caught:
        open_dataset(path).corpus(["de"])
    assert "--max-skipped 0.67" in caught.value.hint
    assert len(open_dataset(path, max_skipped=0.67).corpus(["de"])) == 1
    with pytest.raises(ConfigError, match="between 0 and 1"):
        open_dataset(path, max_skipped=2).corpus(["de"])


@pytest.mark.parametrize(
    "reading",
    [{"images": "."}, {"default_lang": "de"}, {"encoding": "utf-16"}, {"hold_out": 0.5}, {"max_skipped": 0.5}],
)
def test_what_has_no_meaning_is_refused(reading: Reading) -> None:
    for name in ("emoji", "emoji:twemoji", "emoji-video"):
        with pytest.raises(ConfigError, match="has no meaning for emoji"):
            open_dataset(name, **reading)


def test_a_corpus_and_a_list_of_videos_say_their_languages(desk: Desk) -> None:
    for path in (corpus(desk), videos(desk)):
        with pytest.raises(ConfigError, match="--default-lang has no meaning"):
            open_dataset(path, default_lang="de")


def test_columns_that_are_not_used_are_named(desk: Desk) -> None:
    lines = [json.dumps({"text": "ein Hund", "lang": "de", "colour": "brown", "caption": "x", "engine": "by hand"})]
    notes = open_dataset(desk.lines("c.jsonl", lines)).notes(["de"])
    assert sum("colour" in note for note in notes) == 1
    assert sum("'caption'" in note for note in notes) == 1
    assert not any("engine" in note for note in notes)


def test_a_folder_moved_is_the_same_data(desk: Desk, tmp_path: Path) -> None:
    path = sidecars(desk)
    desk.bytes("folder/test/sub/1.jpg")
    before = [row.group for row in open_dataset(path).corpus(["de"]).rows]
    shutil.copytree(path, tmp_path / "moved")
    assert [row.group for row in open_dataset(tmp_path / "moved").corpus(["de"]).rows] == before


def test_a_new_kind_of_data_needs_its_decorator_alone(tmp_path: Path) -> None:
    @register
    class Numbers(PathDataset):
        """Counts from one to the number in a file that ends so."""

        name = "numbers"
        no_use_for = ("encoding",)
        no_use_since = "holds {name}"

        @classmethod
        def recognises(cls, data: str) -> bool:
            return data.endswith(".number")

        def read(self) -> Corpus:
            return Corpus(self.name, tuple(Row(str(n), "de") for n in range(int(self.path.read_text()))))

    (tmp_path / "three.number").write_text("3")
    dataset = open_dataset(tmp_path / "three.number")
    assert isinstance(dataset, Numbers) and dataset.languages() == ["de"] and len(dataset.corpus(["de"])) == 3
    assert dataset.sources == (tmp_path / "three.number",) and dataset.held_out(["de"]) is None
    with pytest.raises(ConfigError, match=r"--encoding has no meaning for .*three.number, which holds numbers"):
        open_dataset(tmp_path / "three.number", encoding="utf-16")


def test_every_source_knows_its_licence(desk: Desk) -> None:
    own = open_dataset(desk.lines("captions.csv", ["text,lang", "Hund,de"]))
    assert [each.licence for each in own.licences(["de"])] == ["unknown (yours)"]
    assert open_dataset("emoji-cldr").licences(["de"])[0].licence == "Unicode-3.0"
    assert {each.licence for each in open_dataset("emoji").licences(["de"])} >= {"CC-BY-4.0", "CC-BY-SA-4.0"}
    for split in ("train", "val", "test_2016_flickr"):
        for code in ("en", "de"):
            desk.lines(f"multi30k/{split}.{code}", desk.captions(code))
    assert [each.licence for each in open_dataset(desk.root / "multi30k").licences(["de"])] == ["research"]
