from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data.sources.xtd10 import XTD10
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

NAMES = [f"COCO_{'train' if index % 2 else 'val'}2014_{index:012d}.jpg" for index in range(8)]


def _owners(desk: Desk) -> Path:
    for place, code, lang in (
        ("XTD10", "en", "en"),
        ("XTD10", "it", "it"),
        ("XTD10", "ko", "ko"),
        ("MIC", "de", "de"),
        ("STAIR", "jp", "ja"),
    ):
        desk.lines(f"{place}/test_1kcaptions_{code}.txt", desk.captions(lang))
    desk.lines("XTD10/test_image_names.txt", NAMES)
    return desk.root


def test_the_three_parts_are_one_corpus(desk: Desk) -> None:
    folder = _owners(desk)
    assert XTD10(folder).languages() == ["en", "de", "it", "ja", "ko"]
    corpus = XTD10(folder).read()
    assert corpus.skipped == ()
    assert {row.split for row in corpus.rows} == {"test"}
    assert [row.group for row in corpus.select("jp").rows] == NAMES
    assert [row.english for row in corpus.select("de").rows] == desk.captions("en")
    assert all(row.english is None for row in corpus.select("ja").rows)  # STAIR's describe, they do not translate
    counts = XTD10(folder).counts()
    assert counts["test captions ja"] == counts["test images ja"] == counts["images"] == 8


def test_images_lie_in_cocos_folders(desk: Desk) -> None:
    folder = _owners(desk)
    for name in NAMES[::2]:
        desk.bytes(f"val2014/{name}")
    corpus = XTD10(folder).read(["it"])
    # Without train2014, its images' captions are text alone; nothing is missing from val2014.
    assert [row.image for row in corpus.rows[:3]] == [
        folder / "val2014" / NAMES[0],
        None,
        folder / "val2014" / NAMES[2],
    ]
    assert corpus.skipped == ()


def test_korean_that_is_italian_is_left_out(desk: Desk) -> None:
    """The fault of the released translations: from-English ``ko`` is byte for byte ``it``."""
    folder = _owners(desk)
    for code, lang in (("de", "de"), ("it", "it"), ("ko", "it"), ("jp", "ja")):
        desk.lines(f"translated_from_en/{code}.txt", desk.captions(lang))
    corpus = XTD10(folder).read()
    assert [row.from_english for row in corpus.select("it").rows] == desk.captions("it")
    assert [row.from_english for row in corpus.select("ja").rows] == desk.captions("ja")
    assert all(row.from_english is None for row in corpus.select("ko").rows)
    assert [(Path(item.where).name, item.reason) for item in corpus.skipped] == [
        ("ko.txt", "it is the same file as for it, so it is left out")
    ]


def test_without_image_names_captions_still_stay_together(desk: Desk) -> None:
    folder = _owners(desk)
    (folder / "XTD10/test_image_names.txt").unlink()
    corpus = XTD10(folder).read(["en", "de"])
    assert {item.reason for item in corpus.skipped} == {
        "test_image_names.txt is not there, so captions have no images"
    }
    assert set(Counter(row.key for row in corpus.rows).values()) == {2}
    desk.lines("XTD10/test_1kcaptions_it.txt", desk.captions("it")[1:])
    with pytest.raises(DataError, match="7 lines, but there are 8 English captions"):
        XTD10(folder).read(["it"])
