from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glotclip.data.dataset import recognised
from glotclip.data.sources.mscoco36 import MSCOCO36

if TYPE_CHECKING:
    from tests.data.conftest import Desk

TRIPLETS = "data/corpus/multilingual_coco/36langs/triplet"
ANNOTATIONS = "data/annotations/coco"
TRAIN = "COCO_train2014_000000000001.jpg"
TEST = "COCO_val2014_000000000002.jpg"


def _mscoco36(desk: Desk) -> Path:
    for lang in ("en", "de", "it"):
        triplets = [
            f"data/MSCOCO/train2014/{TRAIN}\t{english}\t{text}"
            for english, text in zip(desk.captions("en"), desk.captions(lang), strict=True)
        ]
        desk.lines(f"{TRIPLETS}/coco_vision-en-{lang}.tsv.gz", triplets)
        items = [{"image": f"val2014/{TEST}", "image_id": 2, "caption": desk.captions(lang)[:5]}]
        for part in ("val", "test"):
            desk.json(f"{ANNOTATIONS}/translated/{lang}/{part}.json", items)
    return desk.root


def test_languages_are_aligned_line_by_line(desk: Desk) -> None:
    folder = _mscoco36(desk)
    assert recognised(folder) is MSCOCO36
    assert MSCOCO36(folder).languages() == ["en", "de", "it"]
    german, italian = (MSCOCO36(folder).read([lang]) for lang in ("de", "it"))
    assert german.skipped == ()
    assert [row.english for row in german.rows] == [row.english for row in italian.rows]
    assert [row.text for row in german.select(split="train").rows] == desk.captions("de")
    test = german.select(split="test").rows
    assert [(row.text, row.english, row.group) for row in test] == [
        (text, english, TEST) for text, english in zip(desk.captions("de")[:5], desk.captions("en")[:5], strict=True)
    ]
    assert list(german.provenance) == ["de"]
    assert all(row.english is None for row in MSCOCO36(folder).read(["en"]).rows)


def test_one_language_is_read_without_opening_another(desk: Desk) -> None:
    folder = _mscoco36(desk)
    desk.bytes(f"{TRIPLETS}/coco_vision-en-fr.tsv.gz", b"not gzip")
    assert len(MSCOCO36(folder).read(["de"])) == 18
    assert "fr" in MSCOCO36(folder).languages()


def test_english_without_triplets_comes_from_its_annotations(desk: Desk) -> None:
    desk.json(f"{ANNOTATIONS}/en/train.json", [{"image": f"train2014/{TRAIN}", "image_id": 1, "caption": "a dog"}])
    desk.json(f"{ANNOTATIONS}/translated/de/test.json", [{"image": TEST, "caption": ["ein Hund"]}, {"image": TEST}])
    desk.bytes("data/MSCOCO/train2014/" + TRAIN)
    corpus = MSCOCO36(desk.root).read()
    assert [(row.text, row.lang, row.split) for row in corpus.rows] == [
        ("a dog", "en", "train"),
        ("ein Hund", "de", "test"),
    ]
    assert corpus.rows[0].image == desk.root / "data/MSCOCO/train2014" / TRAIN
    reasons = [f"{Path(item.where).name}: {item.reason}" for item in corpus.skipped]
    assert "test.json: item 1 lacks an image or captions" in reasons
    assert "coco_vision-en-de.tsv.gz: the file is not there" in reasons


def test_a_translation_may_hold_a_tab(desk: Desk) -> None:
    desk.lines(f"{TRIPLETS}/coco_vision-en-de.tsv.gz", [f"train2014/{TRAIN}\ta dog\tein\tHund"])
    assert [row.text for row in MSCOCO36(desk.root).read(["de"]).rows] == ["ein Hund"]


def test_lines_of_another_shape_are_listed(desk: Desk) -> None:
    folder = _mscoco36(desk)
    desk.lines(f"{TRIPLETS}/coco_vision-en-de.tsv.gz", [f"{TRAIN}\ta dog"])
    assert [item.reason for item in MSCOCO36(folder).read(["de"]).skipped] == [
        "the line has 2 columns, not image, English and target"
    ]
