from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data.reading import ReadingOptions
from glotclip.data.sources.multi30k import Multi30K
from glotclip.errors import DataError, LanguageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def _side_by_side(desk: Desk) -> Path:
    """Files in one folder, as they are often passed on."""
    desk.lines("train.en.gz", ["a dog", "a cat"])
    desk.lines("train.de.gz", ["ein Hund", "eine Katze"])
    desk.lines("val.en.gz", ["a bird"])
    desk.lines("val.de.gz", ["ein Vogel"])
    desk.lines("test_2016_flickr.en.gz", ["a cow"])
    desk.lines("train.images.txt.gz", ["1.jpg", "2.jpg"])
    desk.lines("val.images.txt", ["3.jpg"])
    desk.lines("README.md", ["not data"])
    desk.lines("train.csv", ["a csv file is no Chin dialect"])
    return desk.root


def test_lines_become_rows(desk: Desk) -> None:
    corpus = Multi30K(_side_by_side(desk)).read()
    found = {(row.text, row.lang, row.english, row.split, row.group) for row in corpus.rows}
    assert found == {
        ("a dog", "en", None, "train", "1.jpg"),
        ("a cat", "en", None, "train", "2.jpg"),
        ("ein Hund", "de", "a dog", "train", "1.jpg"),
        ("eine Katze", "de", "a cat", "train", "2.jpg"),
        ("a bird", "en", None, "validation", "3.jpg"),
        ("ein Vogel", "de", "a bird", "validation", "3.jpg"),
        ("a cow", "en", None, "test", "test-0"),
    }
    assert all(row.image is None for row in corpus.rows)
    assert [(Path(item.where).name, item.reason) for item in corpus.skipped] == [
        ("test_2016_flickr.de", "the file is not there")
    ]


def test_only_the_languages_asked_for_are_opened(desk: Desk) -> None:
    folder = _side_by_side(desk)
    desk.bytes("train.fr.gz", b"not gzip")
    assert Multi30K(folder).languages() == ["en", "de", "fr"]
    assert {row.lang for row in Multi30K(folder).read(["de"]).rows} == {"de"}
    with pytest.raises(DataError, match="not a whole gzip file"):
        Multi30K(folder).read()
    with pytest.raises(LanguageError, match="no captions in cs"):
        Multi30K(folder).read(["de", "cz"])


def test_images_are_taken_where_they_are(desk: Desk, tmp_path: Path) -> None:
    folder = _side_by_side(desk)
    images = tmp_path / "images"
    images.mkdir()
    for name in ("1.jpg", "3.jpg"):
        (images / name).write_bytes(b"x")
    corpus = Multi30K(folder, ReadingOptions(images=images)).read()
    assert {row.image for row in corpus.rows if row.group != "test-0"} == {images / "1.jpg", images / "3.jpg"}
    assert {item.line for item in corpus.skipped if "2.jpg does not exist" in item.reason} == {2}
    assert Multi30K(folder).counts().get("image files") is None
    desk.bytes("flickr30k-images/1.jpg")  # found by itself
    assert {row.image for row in Multi30K(folder).read(["de"]).rows} == {folder / "flickr30k-images" / "1.jpg"}
    counts = Multi30K(folder).counts()
    assert (counts["image files"], counts["missing image files"]) == (1, 2)
    with pytest.raises(DataError, match="is not a folder"):
        Multi30K(folder, ReadingOptions(images=folder / "nowhere")).read()


def test_machine_translations_beside_the_captions(desk: Desk) -> None:
    """The owner's repository, with PECT's translations put in."""
    for lang, lines in {"en": ["a dog", "a cat"], "de": ["ein Hund", "eine Katze"]}.items():
        desk.lines(f"data/task1/raw/train.{lang}.gz", lines)
    desk.lines("data/task1/image_splits/train.txt", ["1.jpg", "2.jpg"])
    desk.lines("translated_from_en/train.de", ["ein Hündchen", "ein Kater"])
    desk.lines("translated_to_en/train.de", ["one dog", "one cat"])
    desk.lines("translated_to_en/train.en", ["a dog", "a cat"])
    corpus = Multi30K(desk.root).read()
    assert {(row.text, row.to_english, row.from_english, row.group) for row in corpus.rows} == {
        ("a dog", None, None, "1.jpg"),
        ("a cat", None, None, "2.jpg"),
        ("ein Hund", "one dog", "ein Hündchen", "1.jpg"),
        ("eine Katze", "one cat", "ein Kater", "2.jpg"),
    }
    assert corpus.skipped == ()
    assert set(corpus.provenance) == {"from_english", "to_english"}


def test_machine_translations_that_cannot_be_right_are_left_out(desk: Desk) -> None:
    for lang in ("en", "de", "fr"):
        desk.lines(f"human/train.{lang}.gz", desk.captions(lang))
        desk.lines(f"to_english/train.{lang}.gz", desk.captions("en"))
    desk.lines("from_english/train.de", desk.captions("de")[:-1])
    desk.lines("from_english/train.fr", desk.captions("fr"))
    corpus = Multi30K(desk.root).read()
    reasons = sorted(
        f"{Path(item.where).parent.name}/{Path(item.where).name}: {item.reason}" for item in corpus.skipped
    )
    assert reasons == [
        "from_english/train.de: it has 7 lines for 8 captions, so it is left out",
        "to_english/train.de.gz: it is the same file as for fr, so it is left out",
        "to_english/train.fr.gz: it is the same file as for de, so it is left out",
    ]
    assert [row.from_english for row in corpus.select("fr").rows] == desk.captions("fr")
    assert all(row.to_english is None and row.from_english is None for row in corpus.select("de").rows)


def test_counts(desk: Desk) -> None:
    counts = Multi30K(_side_by_side(desk)).counts()
    assert counts["languages"] == 2
    assert counts["captions"] == 7
    assert counts["images"] == 4
    assert counts["train captions de"] == counts["train images de"] == 2
    assert counts["lines that cannot be used"] == 1
    assert "test captions de" not in counts


def test_what_is_not_multi30k(desk: Desk, tmp_path: Path) -> None:
    assert not Multi30K.recognises(str(tmp_path))
    with pytest.raises(DataError, match="no files of multi30k"):
        Multi30K(tmp_path).counts()
    folder = _side_by_side(desk)
    desk.lines("train.fr", ["un chien"])
    with pytest.raises(DataError, match="has 1 lines, but there are 2 images"):
        Multi30K(folder).read()
    desk.lines("test_2016_flickr.fr", ["une vache", "encore une"])
    (folder / "train.fr").unlink()
    with pytest.raises(DataError, match="has 2 lines, but there are 1 English captions"):
        Multi30K(folder).read()
