from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data import parallel, parallel_files
from glotclip.data.parallel import FROM_ENGLISH, HUMAN, TO_ENGLISH, Kind
from glotclip.data.sources.mscoco36 import MSCOCO36
from glotclip.data.sources.multi30k_task2 import Multi30KTask2
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def test_names_say_language_and_kind(desk: Desk) -> None:
    for lang in ("en", "de"):
        desk.lines(f"human/train.{lang}.gz", desk.captions(lang))
        desk.lines(f"human/val.{lang}", desk.captions(lang))
    desk.lines("from_english/train.de.gz", desk.captions("de"))
    desk.lines("translated_to_en/train.de", desk.captions("en"))
    desk.lines("translated_to_en/train.en", desk.captions("en"))  # no translation: the human captions again
    desk.lines("human/train.images.txt", ["1.jpg"])
    desk.lines("human/train.csv", ["1.jpg"])
    desk.lines("README.md", ["text"])
    desk.lines("prepare.sh", ["is not in Serbo-Croatian"])
    texts = parallel_files.from_files(desk.root)
    assert [(text.where, text.split, text.lang, text.kind) for text in texts] == [
        ("human/train.en.gz", "train", "en", HUMAN),
        ("human/train.de.gz", "train", "de", HUMAN),
        ("from_english/train.de.gz", "train", "de", FROM_ENGLISH),
        ("translated_to_en/train.de", "train", "de", TO_ENGLISH),
        ("human/val.en", "val", "en", HUMAN),
        ("human/val.de", "val", "de", HUMAN),
    ]
    assert texts[0].lines == desk.captions("en")


def test_xtd10_as_released_shows_its_fault(desk: Desk) -> None:
    for place, code, lang in (
        ("XTD10", "en", "en"),
        ("XTD10", "it", "it"),
        ("XTD10", "ko", "ko"),
        ("STAIR", "jp", "ja"),
    ):
        desk.lines(f"{place}/test_1kcaptions_{code}.txt", desk.captions(lang))
    desk.lines("XTD10/test_image_names.txt", ["1.jpg"] * 8)
    for code, lang in (("it", "it"), ("ko", "it"), ("jp", "ja")):
        desk.lines(f"translated_from_en/{code}.txt", [f"{line}!" for line in desk.captions(lang)])
    texts = parallel_files.from_files(desk.root)
    assert {text.split for text in texts} == {"test_1kcaptions"}
    faults = {(found.kind, found.where) for found in parallel.check(texts, language=False) if found.fault}
    assert faults == {
        (Kind.SAME_TEXT, "translated_from_en/ko.txt"),
        (Kind.SCRIPT, "translated_from_en/ko.txt"),
    }


def test_any_corpus_gives_its_texts(desk: Desk) -> None:
    for number in "12345":
        for lang in ("en", "de"):
            desk.lines(f"train.{number}.{lang}", [f"{number} {text}" for text in desk.captions(lang)])
    texts = list(Multi30KTask2(desk.root).parallel_texts(limit=9))
    assert [(text.where, text.split, text.lang, len(text.lines)) for text in texts] == [
        ("multi30k-task2 train en", "train", "en", 9),
        ("multi30k-task2 train de", "train", "de", 9),
    ]
    assert all(len(text.lines) == 40 for text in Multi30KTask2(desk.root).parallel_texts())


def test_a_line_that_cannot_be_used_does_not_shift_the_others(desk: Desk) -> None:
    place = "corpus/multilingual_coco/36langs/triplet"
    desk.lines(f"{place}/coco_vision-en-de.tsv.gz", ["1.jpg\ta dog\tein Hund", "damaged", "2.jpg\ta cat\teine Katze"])
    assert [list(text.lines) for text in MSCOCO36(desk.root).parallel_texts()] == [["ein Hund", "", "eine Katze"]]


def test_what_is_no_parallel_text(desk: Desk) -> None:
    file = desk.lines("train.de", ["allein"])
    with pytest.raises(DataError, match="no line-aligned files of several languages"):
        parallel_files.from_files(desk.root)
    with pytest.raises(DataError, match="is not a folder"):
        parallel_files.from_files(file)
