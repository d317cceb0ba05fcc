from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data.dictionaries.cleaning import Cleaner
from glotclip.data.dictionaries.tei import Tei
from glotclip.data.streaming import TextFile
from glotclip.errors import DataError, LanguageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader><fileDesc><titleStmt><title>{title}</title></titleStmt>
<publicationStmt><availability><p>Available under the terms of the <ref target="x">GNU General Public License ver. 2.0
and any later version</ref>.</p></availability></publicationStmt></fileDesc></teiHeader><text><body{lang}>"""
ENTRY = """<entry><form><orth>Hund</orth><pron>hʊnt</pron></form><gramGrp><pos>n</pos></gramGrp><sense n="1">
<cit type="trans"{lang}><quote>dog</quote></cit><cit type="trans"><quote>hound (old)</quote></cit>
<cit type="example"><quote>Der Hund bellt.</quote><cit type="trans"><quote>The dog barks.</quote></cit></cit>
<def>Ein Tier</def><xr><ref>Katze</ref></xr></sense></entry>"""
OLD = "<entry><form><orth>Katze</orth></form><trans><tr>cat</tr></trans></entry>"
END = "</body></text></TEI>"
PAIRS = [("Der Hund bellt.", "The dog barks."), ("Hund", "dog"), ("Hund", "hound"), ("Katze", "cat")]


def tei(desk: Desk, name: str, title: str = "", lang: str = "", to: str = "") -> TextFile:
    text = HEADER.format(title=title, lang=f' xml:lang="{lang}"' if lang else "")
    return TextFile(
        desk.bytes(name, (text + ENTRY.format(lang=f' xml:lang="{to}"' if to else "") + OLD + END).encode())
    )


@pytest.mark.parametrize(
    ("name", "title", "lang", "to"),
    [("deu-eng.tei", "", "", ""), ("a.tei", "German-English FreeDict Dictionary", "", ""), ("a.tei", "", "de", "en")],
)
def test_the_direction_is_found_in_name_title_or_marks(desk: Desk, name: str, title: str, lang: str, to: str) -> None:
    found = Tei(tei(desk, name, title, lang, to))
    assert (found.lang, found.turned) == ("de", False)
    assert list(found.pairs(Cleaner())) == PAIRS
    assert found.licence().licence == "GPL-2.0-or-later"


def test_a_dictionary_from_english_is_turned_round(desk: Desk) -> None:
    found = Tei(tei(desk, "eng-deu.tei"))
    assert (found.lang, found.turned) == ("de", True)
    assert list(found.pairs(Cleaner())) == [(text, english) for english, text in PAIRS]


def test_what_cannot_be_used_is_told(desk: Desk) -> None:
    with pytest.raises(DataError, match="does not say its languages"):
        _ = Tei(tei(desk, "a.tei")).lang
    with pytest.raises(LanguageError, match="is of de and fr"):
        _ = Tei(tei(desk, "deu-fra.tei")).lang
    torn = tei(desk, "deu-eng.tei")
    torn.path.write_bytes(torn.path.read_bytes()[:-30])
    with pytest.raises(DataError, match="not whole XML"):
        list(Tei(torn).pairs(Cleaner()))
