from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data.dictionaries.cleaning import Cleaner
from glotclip.data.dictionaries.panlex import PanLex, PanLexLanguage
from glotclip.data.streaming import text_files
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def test_words_of_one_meaning_translate_one_another(desk: Desk) -> None:
    desk.lines("langvar.csv", ["id,lang_code,var_code", "1,eng,0", "2,deu,0", "3,fra,0", "4,deu,1"])
    desk.lines(
        "expr.csv",
        ["id,langvar,txt,txt_degr", "10,1,dog,dog", "11,2,Hund,hund", "12,3,chien,chien", '13,4,"Köter, alter",x'],
    )
    desk.lines("denotation.csv", ["id,meaning,expr", "1,5,11", "2,5,10", "3,6,12", "4,7,13", "5,7,10", "torn"])
    tables = PanLex({file.name: file for file in text_files(desk.root)})
    assert set(tables.varieties) == {"en", "de", "fr"}
    assert list(tables.pairs("de")) == [("Hund", "dog"), ("Köter, alter", "dog")]
    assert list(PanLexLanguage(tables, "fr").pairs(Cleaner())) == []
    desk.lines("expr.csv", ["id,language,txt"])
    with pytest.raises(DataError, match="has no column langvar"):
        list(tables.pairs("de"))
