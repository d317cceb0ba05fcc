from __future__ import annotations

from typing import TYPE_CHECKING

from glotclip.data.dictionaries.cleaning import Cleaner
from glotclip.data.dictionaries.tmx import Tmx, languages_in
from glotclip.data.streaming import TextFile

if TYPE_CHECKING:
    from tests.data.conftest import Desk

UNIT = """<tu><tuv xml:lang="en-US"><seg>A <bpt i="1">&lt;b&gt;</bpt>red<ept i="1">&lt;/b&gt;</ept> house.</seg></tuv>
<tuv xml:lang="DE-de"><seg>Ein rotes <hi>Haus</hi>.</seg></tuv><tuv lang="fr"><seg>Une maison.</seg></tuv></tu>"""


def test_each_language_is_paired_with_english_without_codes_of_formats(desk: Desk) -> None:
    tmx = f'<?xml version="1.0"?><tmx version="1.4"><header srclang="en"/><body>{UNIT}</body></tmx>'
    file = TextFile(desk.bytes("a.tmx", tmx.encode()))
    assert languages_in(file) == ["de-DE", "fr"]
    assert list(Tmx(file, "de-DE").pairs(Cleaner())) == [("Ein rotes Haus.", "A red house.")]
    assert list(Tmx(file, "fr").pairs(Cleaner())) == [("Une maison.", "A red house.")]
    assert Tmx(file, "fr").licence().licence == "unknown (yours)"
