"""Wiktextract's JSON lines: Wiktionary's entries, one a line, of one language or of all, read as a stream.

An entry of another language has English glosses (``senses[].glosses``); one of English has ``translations`` into many
languages. Both are used. Glosses that only name a form ("plural of Hund") are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from glotclip.data import catalog
from glotclip.data.dictionaries.cleaning import Cleaner, Pair
from glotclip.data.dictionaries.codes import usual_language
from glotclip.data.licences import Licence
from glotclip.data.streaming import TextFile
from glotclip.errors import DataError

NAME = "wiktextract"
#: So many lines are looked at to learn which languages there are.
LOOKED_AT = 2_000
_FORMS = frozenset({"form-of", "alt-of", "misspelling", "obsolete", "archaic"})


@dataclass(frozen=True)
class Wiktextract:
    """The entries of one language.

    Attributes:
        file: the file.
        lang: the language.
        turned: whether it is English Wiktionary's own entries that are read; told per entry, so never.
    """

    file: TextFile
    lang: str
    turned: bool = False

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    def pairs(self, cleaner: Cleaner) -> Iterator[Pair]:
        """Yield (text, English)."""
        codes: dict[str, bool] = {}

        def mine(code: object) -> bool:
            text = str(code or "")
            if text not in codes:
                codes[text] = usual_language(text) == self.lang
            return codes[text]

        for line in self.file.lines():
            entry = _object(line)
            if entry is None:
                cleaner.dropped["lines that are no JSON object"] += bool(line.strip())
            elif mine(entry.get("lang_code")):
                yield from cleaner.pairs([str(entry.get("word", ""))], _glosses(entry, cleaner))
            elif entry.get("lang_code") == "en":
                for found in _dicts(entry.get("translations")):
                    if mine(found.get("lang_code") or found.get("code")) and found.get("word"):
                        pairs = cleaner.pairs([str(entry.get("word", ""))], [str(found["word"])])
                        yield from ((text, english) for english, text in pairs)

    def licence(self) -> Licence:
        """Wiktionary's."""
        entry = catalog.dataset(NAME)
        return Licence(f"{NAME} {self.name}", entry.spdx, entry.source, entry.url)


def languages_in(file: TextFile) -> list[str]:
    """The languages beside English in the first lines, translations included."""
    found: dict[str, None] = {}
    for line in islice(file.lines(), LOOKED_AT):
        entry = _object(line) or {}
        codes = [entry.get("lang_code")]
        codes += [each.get("lang_code") or each.get("code") for each in _dicts(entry.get("translations"))]
        for code in codes:
            if code and (lang := usual_language(str(code))) and lang != "en":
                found[lang] = None
    return list(found)


def is_wiktextract(file: TextFile) -> bool:
    """Whether the first line is an entry."""
    try:
        entry = _object(next(file.lines(), ""))
    except DataError:
        return False
    return entry is not None and {"word", "lang_code"} <= entry.keys()


def _object(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _glosses(entry: dict[str, Any], cleaner: Cleaner) -> list[str]:
    """The most special gloss of each sense."""
    glosses = []
    for sense in _dicts(entry.get("senses")):
        tags = sense.get("tags")
        if (
            sense.get("form_of")
            or sense.get("alt_of")
            or (isinstance(tags, list) and _FORMS.intersection(map(str, tags)))
        ):
            cleaner.dropped["glosses that only name a form"] += 1
        elif isinstance(given := sense.get("glosses"), list) and given:
            glosses.append(str(given[-1]))
    return glosses
