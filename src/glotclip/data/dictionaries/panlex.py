"""PanLex's database as CSV: words (``expr.csv``) of varieties (``langvar.csv``) that share a meaning.

A denotation (``denotation.csv``) says that a word has a meaning; words of one meaning translate one another. The
tables have headers and are joined as streams: held in memory are the words of the two languages, and their meanings.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from glotclip.data import catalog
from glotclip.data.dictionaries.cleaning import Cleaner, Pair
from glotclip.data.dictionaries.codes import usual_language
from glotclip.data.licences import Licence
from glotclip.data.streaming import TextFile
from glotclip.errors import DataError

NAME = "panlex"
TABLES = ("langvar.csv", "expr.csv", "denotation.csv")


@dataclass(frozen=True)
class PanLex:
    """The tables.

    Attributes:
        files: by name.
    """

    files: Mapping[str, TextFile]

    @cached_property
    def varieties(self) -> dict[str, list[str]]:
        """The ids of varieties by language."""
        found: dict[str, list[str]] = {}
        known: dict[str, str | None] = {}
        for number, code in self._table("langvar.csv", ("id", "lang_code")):
            if code not in known:
                known[code] = usual_language(code)
            if lang := known[code]:
                found.setdefault(lang, []).append(number)
        return found

    def pairs(self, lang: str) -> Iterator[Pair]:
        """Yield (text, English) as they stand in the tables."""
        own, english = set(self.varieties.get(lang, ())), set(self.varieties.get("en", ()))
        texts: dict[str, str] = {}
        counterparts: dict[str, str] = {}
        for number, variety, text in self._table("expr.csv", ("id", "langvar", "txt")):
            if variety in own:
                texts[number] = text
            elif variety in english:
                counterparts[number] = text
        meanings: dict[str, list[str]] = {}
        for meaning, word in self._table("denotation.csv", ("meaning", "expr")):
            if word in texts:
                meanings.setdefault(meaning, []).append(word)
        for meaning, word in self._table("denotation.csv", ("meaning", "expr")):
            if word in counterparts:
                yield from ((texts[each], counterparts[word]) for each in meanings.get(meaning, ()))

    def _table(self, name: str, columns: Sequence[str]) -> Iterator[list[str]]:
        """Yield the cells of some columns, row by row."""
        file = self.files[name]
        reader = csv.reader(file.lines())
        header = next(reader, [])
        if missing := [column for column in columns if column not in header]:
            raise DataError(
                f"{file} has no column {', '.join(missing)}; found: {', '.join(header)[:200] or 'none'}",
                hint="give PanLex's database as CSV, unpacked",
            )
        places = [header.index(column) for column in columns]
        for row in reader:
            if len(row) == len(header):
                yield [row[place] for place in places]


@dataclass(frozen=True)
class PanLexLanguage:
    """The words of one language.

    Attributes:
        tables: the tables.
        lang: the language.
        turned: never: there is no direction.
    """

    tables: PanLex
    lang: str
    turned: bool = False

    @property
    def name(self) -> str:
        """What notes call it."""
        return f"{NAME} {self.lang}"

    def pairs(self, cleaner: Cleaner) -> Iterator[Pair]:
        """Yield (text, English)."""
        for text, english in self.tables.pairs(self.lang):
            yield from cleaner.pairs([text], [english])

    def licence(self) -> Licence:
        """PanLex's."""
        entry = catalog.dataset(NAME)
        return Licence(NAME, entry.spdx, entry.source, entry.url)
