from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glotclip.data.dataset import recognised
from glotclip.data.sources.cc3m_uc2 import CC3M, sample

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def _uc2(desk: Desk) -> Path:
    def line(number: int, text: str, state: str = "success") -> str:
        return f"{number}\thttp://example.org/{number}.jpg\t{text}\t{state}"

    desk.lines("train_imageId2Ann_en.tsv", [line(number, f"image {number}") for number in range(6)])
    german = [line(number, f"Bild {number}") for number in (5, 4, 3, 0)]
    desk.lines("train_imageId2Ann_de.tsv", [*german, line(1, "", "fail"), "2\tthe rest is missing"])
    return desk.root


def test_lines_are_matched_by_number(desk: Desk) -> None:
    folder = _uc2(desk)
    assert recognised(folder) is CC3M
    corpus = CC3M(folder).read(["de"])
    assert [(row.text, row.english, row.group) for row in corpus.rows] == [
        (f"Bild {number}", f"image {number}", f"{number:08d}") for number in (5, 4, 3, 0)
    ]
    assert [(item.line, item.reason) for item in corpus.skipped] == [
        (6, "the line is not number, address, caption and success or fail"),
        (None, "1 captions are marked as failed by UC2"),
    ]
    assert corpus.provenance == {"de": "machine translation of the English caption, released with UC2"}


def test_captions_of_images_that_are_gone_stay_as_text(desk: Desk) -> None:
    folder = _uc2(desk)
    desk.bytes("images/00000003.jpg")
    corpus = CC3M(folder).read(["en"])
    assert [row.image is not None for row in corpus.rows] == [number == 3 for number in range(6)]
    assert [item.reason for item in corpus.skipped] == ["5 images are missing; their captions stay as text"]


def test_a_sample_has_the_same_images_in_all_languages(desk: Desk) -> None:
    corpus = CC3M(_uc2(desk)).read()
    drawn = sample(corpus, images=3)
    groups = [{row.group for row in drawn.select(lang).rows} for lang in ("en", "de")]
    assert groups[0] == groups[1] != set()
    assert len(groups[0]) == 3
    assert sample(corpus, images=3) == drawn
    assert sample(corpus, images=3, seed=1).rows != drawn.rows or sample(corpus, 3, 2).rows != drawn.rows
