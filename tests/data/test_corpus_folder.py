from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data import catalog
from glotclip.data.corpus_folder import CorpusFolder, ImageFolders
from glotclip.data.dataset import recognised, registered
from glotclip.data.sources.caption_files import CaptionFiles
from glotclip.data.sources.multi30k import Multi30K
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

CORPORA = [kind for kind in registered() if issubclass(kind, CorpusFolder)]


def test_what_no_owner_laid_out_is_not_recognised(desk: Desk) -> None:
    file = desk.lines("captions.csv", ["text,lang", "Hund,de"])
    desk.lines("photo.de.txt", ["ein Hund"])
    desk.bytes("photo.jpg")
    assert recognised(desk.root) is CaptionFiles
    assert recognised(file) is CaptionFiles
    assert recognised(desk.root / "nowhere") is None


def test_what_is_recognised_reads(desk: Desk) -> None:
    desk.lines("train.en.gz", desk.captions("en"))
    desk.lines("train.de.gz", desk.captions("de"))
    assert recognised(desk.root) is Multi30K
    assert len(Multi30K(desk.root).read()) == 16


def test_a_bad_text_is_listed_with_its_line(desk: Desk) -> None:
    desk.lines("train.en.gz", ["a dog", " ", "a\x00cat"])
    assert [(item.line, item.reason) for item in Multi30K(desk.root).read().skipped] == [
        (2, "the text is empty"),
        (3, "the text holds the character U+0000"),
    ]


@pytest.mark.parametrize("kind", CORPORA, ids=lambda kind: str(kind.name))
def test_every_corpus_is_in_the_catalogue_and_says_what_it_needs(kind: type[CorpusFolder], tmp_path: Path) -> None:
    assert catalog.dataset(kind.name).files
    assert kind(tmp_path).languages() == []
    with pytest.raises(DataError, match="holds no files of"):
        kind(tmp_path).read()


def test_images_are_found_in_the_first_folder_that_holds_any(desk: Desk) -> None:
    desk.lines("a/train2014/notes.txt", ["no image"])
    desk.bytes("b/train2014/1.jpg")
    images = ImageFolders([desk.root / "a", desk.root / "b"])
    assert images.find(Path("train2014/1.jpg")) == (desk.root / "b/train2014/1.jpg", True)
    assert images.find(Path("train2014/2.jpg")) == (None, False)
    assert images.find(Path("val2014/1.jpg")) == (None, True)
    assert images.find(None) == (None, True)
    flat = ImageFolders([desk.root / "b/train2014"], flat=True)
    assert flat.find(Path("train2014/1.jpg")) == (desk.root / "b/train2014/1.jpg", True)
