from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data.dataset import recognised
from glotclip.data.sources.multi30k_task2 import Multi30KTask2
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def test_five_independent_captions_a_image(desk: Desk) -> None:
    for number in "12345":
        for lang in ("en", "de"):
            desk.lines(f"task2/raw/train.{number}.{lang}.gz", [f"{lang} {number} one", f"{lang} {number} two"])
    desk.lines("task2/image_splits/train_images.txt", ["1.jpg", "2.jpg"])
    corpus = Multi30KTask2(desk.root).read()
    assert corpus.languages == ["en", "de"]
    assert sorted(row.text for row in corpus.rows if row.group == "1.jpg" and row.lang == "de") == [
        f"de {number} one" for number in "12345"
    ]
    assert all(row.english is None for row in corpus.rows)  # they are no translations of one another
    assert corpus.skipped == ()
    counts = Multi30KTask2(desk.root).counts()
    assert (counts["train captions de"], counts["train images de"]) == (10, 2)


def test_a_missing_file_is_listed_and_a_short_one_is_an_error(desk: Desk) -> None:
    for number in "1235":
        desk.lines(f"train.{number}.en.gz", ["one", "two"])
    assert recognised(desk.root) is Multi30KTask2
    corpus = Multi30KTask2(desk.root).read()
    assert len(corpus) == 8
    assert [item.reason for item in corpus.skipped] == ["caption 4 of split train in en is not there"]
    desk.lines("train.images.txt", ["1.jpg"])
    with pytest.raises(DataError, match="has 2 lines, but there are 1 images"):
        Multi30KTask2(desk.root).read()
