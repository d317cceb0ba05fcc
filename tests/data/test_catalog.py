from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data import catalog, corpora
from glotclip.data.catalog import Count
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def test_known_names() -> None:
    named = "emoji cldr emoji-google mscoco36 xm3600 xtd10 multi30k multi30k-task2 flickr30k mscoco coco-cn stair"
    assert {*named.split(), "cc3m-uc2", "msr-vtt", "vatex"} == set(catalog.DATASETS)
    assert {layout.name for layout in corpora.LAYOUTS} <= set(catalog.DATASETS)
    with pytest.raises(DataError, match="no dataset 'emojy'") as caught:
        catalog.dataset("emojy")
    assert "did you mean 'emoji'?" in caught.value.hint


@pytest.mark.parametrize("entry", catalog.DATASETS.values(), ids=catalog.DATASETS)
def test_every_entry_says_what_one_needs_to_know(entry: catalog.Entry) -> None:
    assert all((entry.description, entry.languages, entry.licence, entry.source, entry.size, entry.layout))


def test_checking_the_embedded_dataset() -> None:
    entry = catalog.dataset("emoji")
    counts = entry.check(None)
    assert counts["concepts"] == counts["pictures by twemoji"] == counts["pictures by openmoji"] == 1644
    assert counts["languages"] == 14
    assert "pictures by google" not in counts
    assert all(count.right for count in catalog.compare(counts, entry.expected))


@pytest.mark.parametrize("name", sorted(set(catalog.DATASETS) - {"emoji"}))
def test_checking_what_is_not_there(name: str) -> None:
    with pytest.raises(DataError) as caught:
        catalog.dataset(name).check(None)
    assert caught.value.hint


@pytest.mark.parametrize("name", [layout.name for layout in corpora.LAYOUTS] + ["msr-vtt", "vatex"])
def test_a_folder_of_something_else_says_what_is_needed(name: str, desk: Desk) -> None:
    desk.lines("notes.txt", ["nothing"])
    with pytest.raises(DataError) as caught:
        catalog.dataset(name).check(desk.root)
    assert caught.value.hint.startswith("expected ")


def test_counts_are_set_beside_those_expected() -> None:
    expected = {"languages": 2, "test captions de": 7, "test captions *": 5, "train captions *": 9}
    found = {"languages": 2, "test captions de": 7, "test captions fr": 4, "pictures": 3}
    counts = catalog.compare(found, expected)
    assert counts == [
        Count("languages", 2, 2, "languages"),
        Count("test captions de", 7, 7, "test captions de"),
        Count("test captions fr", 4, 5, "test captions *"),
        Count("pictures", 3, None),
        Count("train captions *", None, 9, "train captions *"),
    ]
    assert [count.name for count in counts if not count.right] == ["test captions fr", "train captions *"]


def test_every_owners_count_has_a_name_that_is_counted(desk: Desk) -> None:
    """Of a small folder the numbers differ, but no expected name may be one that is never counted."""
    for split in ("train", "val", "test_2016_flickr"):
        for lang in ("en", "de"):
            desk.lines(f"{split}.{lang}.gz", desk.captions(lang))
    entry = catalog.dataset("multi30k")
    counts = catalog.compare(entry.check(desk.root), entry.expected)
    assert all(count.found is not None for count in counts)
    wrong = {count.name for count in counts if not count.right}
    assert "train captions de" in wrong
    assert "lines that cannot be used" not in wrong
    assert entry.texts is not None
    assert len(list(entry.texts(desk.root))) == 6
