from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data import corpora
from glotclip.data.corpora.layout import Pictures

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def test_what_no_owner_laid_out_is_not_recognised(desk: Desk) -> None:
    file = desk.lines("captions.csv", ["text,lang", "Hund,de"])
    desk.lines("photo.de.txt", ["ein Hund"])
    desk.bytes("photo.jpg")
    assert corpora.recognise(desk.root) is None
    assert corpora.recognise(file) is None
    assert corpora.recognise(desk.root / "nowhere") is None


def test_what_is_recognised_reads(desk: Desk) -> None:
    desk.lines("train.en.gz", desk.captions("en"))
    desk.lines("train.de.gz", desk.captions("de"))
    read = corpora.recognise(desk.root)
    assert read is not None
    assert len(read(desk.root)) == 16


def test_a_bad_text_is_listed_with_its_line(desk: Desk) -> None:
    desk.lines("train.en.gz", ["a dog", " ", "a\x00cat"])
    read = corpora.recognise(desk.root)
    assert read is not None
    assert [(bad.line, bad.reason) for bad in read(desk.root).skipped] == [
        (2, "the text is empty"),
        (3, "the text holds the character U+0000"),
    ]


@pytest.mark.parametrize("layout", corpora.LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_says_its_terms_and_needs(layout: corpora.Layout, tmp_path: Path) -> None:
    assert layout.licence
    assert layout.needs
    assert layout.languages(tmp_path) == []


def test_pictures_are_found_in_the_first_folder_that_holds_any(desk: Desk) -> None:
    desk.lines("a/train2014/notes.txt", ["no picture"])
    desk.bytes("b/train2014/1.jpg")
    pictures = Pictures([desk.root / "a", desk.root / "b"])
    assert pictures.find(Path("train2014/1.jpg")) == (desk.root / "b/train2014/1.jpg", True)
    assert pictures.find(Path("train2014/2.jpg")) == (None, False)
    assert pictures.find(Path("val2014/1.jpg")) == (None, True)
    assert pictures.find(None) == (None, True)
    flat = Pictures([desk.root / "b/train2014"], flat=True)
    assert flat.find(Path("train2014/1.jpg")) == (desk.root / "b/train2014/1.jpg", True)
