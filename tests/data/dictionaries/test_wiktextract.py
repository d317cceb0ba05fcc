from __future__ import annotations

import json
from typing import TYPE_CHECKING

from glotclip.data.dictionaries.cleaning import Cleaner
from glotclip.data.dictionaries.wiktextract import Wiktextract, is_wiktextract, languages_in
from glotclip.data.streaming import TextFile

if TYPE_CHECKING:
    from tests.data.conftest import Desk

ENTRIES = (
    {"word": "Hund", "lang_code": "de", "senses": [{"glosses": ["animals", "dog, hound (a pet)"]}, {"glosses": []}]},
    {"word": "Hunde", "lang_code": "de", "senses": [{"glosses": ["plural of Hund"], "form_of": [{"word": "Hund"}]}]},
    {"word": "chien", "lang_code": "fr", "senses": [{"glosses": ["dog"]}]},
    {
        "word": "cat",
        "lang_code": "en",
        "translations": [{"code": "de", "word": "Katze"}, {"lang_code": "sw", "word": "paka"}, {}],
    },
)


def test_glosses_and_translations_become_pairs(desk: Desk) -> None:
    lines = [json.dumps(each) for each in ENTRIES] + ["{torn", "", "[1]"]
    file = TextFile(desk.lines("all.jsonl.gz", lines))
    assert is_wiktextract(file) and languages_in(file) == ["de", "fr", "sw"]
    cleaner = Cleaner()
    assert list(Wiktextract(file, "de").pairs(cleaner)) == [("Hund", "dog"), ("Hund", "hound"), ("Katze", "cat")]
    assert cleaner.dropped["glosses that only name a form"] == 1
    assert cleaner.dropped["lines that are no JSON object"] == 2
    assert list(Wiktextract(file, "sw").pairs(Cleaner())) == [("paka", "cat")]


def test_captions_in_json_lines_are_no_entries(desk: Desk) -> None:
    assert not is_wiktextract(TextFile(desk.lines("a.jsonl", ['{"text": "Hund", "lang": "de"}'])))
    assert not is_wiktextract(TextFile(desk.bytes("b.jsonl", b"\xff\xfe\x00")))
