from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data import catalog
from glotclip.data.catalog import Count
from glotclip.data.corpus_folder import CorpusFolder
from glotclip.data.dataset import open_catalogued, registered
from glotclip.data.video_corpus import VideoCorpus
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

#: Names of the kinds that lie in a folder of their owner's.
FOLDERS = sorted(
    kind.name for kind in registered() if issubclass(kind, CorpusFolder | VideoCorpus) and hasattr(kind, "name")
)
#: Names of texts to learn from.
TEXTS = ("freedict", "tatoeba", "ntrex", "flores", "wiktextract", "panlex")


def test_known_names() -> None:
    assert {"emoji", "emoji-google", *FOLDERS, *TEXTS} == set(catalog.datasets())
    with pytest.raises(DataError, match="no dataset 'emojy'") as caught:
        catalog.dataset("emojy")
    assert "did you mean 'emoji'?" in caught.value.hint


@pytest.mark.parametrize("entry", catalog.datasets().values(), ids=catalog.datasets())
def test_every_entry_says_what_one_needs_to_know(entry: catalog.Entry) -> None:
    assert all((entry.description, entry.languages, entry.licence, entry.source, entry.size, entry.files))


def test_checking_the_embedded_dataset() -> None:
    counts = open_catalogued("emoji", None).counts()
    assert counts["concepts"] == counts["images by twemoji"] == counts["images by openmoji"] == 1644
    assert counts["languages"] == 158
    assert "images by google" not in counts
    assert all(count.right for count in catalog.compare(counts, catalog.dataset("emoji").counts))


@pytest.mark.parametrize("name", [*FOLDERS, "emoji-google"])
def test_checking_what_is_not_there(name: str) -> None:
    with pytest.raises(DataError) as caught:
        open_catalogued(name, None).counts()
    assert caught.value.hint


@pytest.mark.parametrize("name", ["emoji", "emoji-google"])
def test_what_is_found_by_itself_takes_no_folder(name: str, desk: Desk) -> None:
    with pytest.raises(DataError, match="found by itself"):
        open_catalogued(name, desk.root)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_something_else_says_what_is_needed(name: str, desk: Desk) -> None:
    desk.lines("notes.txt", ["nothing"])
    with pytest.raises(DataError) as caught:
        open_catalogued(name, desk.root).counts()
    assert caught.value.hint.startswith("expected ")


def test_counts_are_set_beside_those_expected() -> None:
    expected = {"languages": 2, "test captions de": 7, "test captions *": 5, "train captions *": 9}
    found = {"languages": 2, "test captions de": 7, "test captions fr": 4, "image files": 3}
    counts = catalog.compare(found, expected)
    assert counts == [
        Count("languages", 2, 2, "languages"),
        Count("test captions de", 7, 7, "test captions de"),
        Count("test captions fr", 4, 5, "test captions *"),
        Count("image files", 3, None),
        Count("train captions *", None, 9, "train captions *"),
    ]
    assert [count.name for count in counts if not count.right] == ["test captions fr", "train captions *"]


def test_every_owners_count_has_a_name_that_is_counted(desk: Desk) -> None:
    """Of a small folder the numbers differ, but no expected name may be one that is never counted."""
    for split in ("train", "val", "test_2016_flickr"):
        for lang in ("en", "de"):
            desk.lines(f"{split}.{lang}.gz", desk.captions(lang))
    dataset = open_catalogued("multi30k", desk.root)
    counts = catalog.compare(dataset.counts(), catalog.dataset("multi30k").counts)
    assert all(count.found is not None for count in counts)
    wrong = {count.name for count in counts if not count.right}
    assert "train captions de" in wrong
    assert "lines that cannot be used" not in wrong
    assert len(list(dataset.parallel_texts())) == 6
