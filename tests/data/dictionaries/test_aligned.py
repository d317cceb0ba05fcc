from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data.dictionaries.aligned import Aligned
from glotclip.data.dictionaries.cleaning import Cleaner
from glotclip.data.licences import Licence
from glotclip.data.streaming import TextFile
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

TERMS = Licence("a", "CC0-1.0", "b")


def test_lines_are_paired_and_empty_ones_counted(desk: Desk) -> None:
    german = TextFile(desk.lines("a.de", ["Ein Hund.", "", "Ein\x07Haus."]))
    english = TextFile(desk.lines("a.en.gz", ["A dog.", "A cat.", "A house."]))
    cleaner = Cleaner()
    assert list(Aligned("a", "de", german, english, TERMS).pairs(cleaner)) == [("Ein Hund.", "A dog.")]
    assert sum(cleaner.dropped.values()) == 2


@pytest.mark.parametrize("shorter", ["de", "en"])
def test_files_of_different_length_are_refused(desk: Desk, shorter: str) -> None:
    files = {code: TextFile(desk.lines(f"a.{code}", ["x"] * (1 if code == shorter else 2))) for code in ("de", "en")}
    with pytest.raises(DataError, match=rf"a\.{shorter} has 1 lines, .* has more"):
        list(Aligned("a", "de", files["de"], files["en"], TERMS).pairs(Cleaner()))
