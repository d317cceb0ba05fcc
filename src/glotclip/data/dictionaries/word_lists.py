"""Lists with a pair in each line: word lists (MUSE, one's own) and sentences (ManyThings, Tatoeba's exports).

The languages stand in the file's name (``deu-eng.tsv``, ``de-en.txt``, ``deu.txt``) or in a header of two codes;
which column is English is decided by the texts themselves, since names and columns disagree too often.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from glotclip.data.dictionaries.cleaning import Cleaner, Pair, words
from glotclip.data.dictionaries.codes import english_share, sides_of_name, usual_language
from glotclip.data.licences import OWN, Licence
from glotclip.data.markers import is_missing
from glotclip.data.schema import clean_text
from glotclip.data.streaming import TextFile
from glotclip.data.tables import field_of
from glotclip.errors import DataError, LanguageError

#: So many lines are looked at to tell columns and kinds apart.
LOOKED_AT = 2_000
# If fewer words of both columns are known English ones, neither column is English.
_ENGLISH = 0.13
# A column that has so many times more known words is English, whatever a file's name says.
_CLEARLY = 1.5
# A list of words has fewer words in a cell than this, in the mean.
_WORDS_OF_A_SENTENCE = 3.2
_TATOEBA = re.compile(r"tatoeba", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How a list is laid out.

    Attributes:
        separator: a tab, or empty for white space.
        text, english: the columns.
        lang: the language of the texts.
        header: whether the first line is one.
        sentences: whether the cells are sentences, which stay whole.
        attributed: whether a third column names Tatoeba's authors.
    """

    separator: str
    text: int
    english: int
    lang: str
    header: bool
    sentences: bool
    attributed: bool


@dataclass(frozen=True)
class WordList:
    """One list.

    Attributes:
        file: the file.
        given: the language that a user says it has.
        encoding: of the file, as the user says.
    """

    file: TextFile
    given: str | None = None
    encoding: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @property
    def lang(self) -> str:
        """The language that is not English."""
        return self.layout.lang

    @property
    def turned(self) -> bool:
        """Whether English comes first; of sentences no one cares."""
        return self.layout.english < self.layout.text and not self.layout.sentences

    @cached_property
    def layout(self) -> Layout:
        """The layout, from name, header and the first lines.

        Raises:
            DataError: if it does not say its language, or no column is English.
        """
        lines = [line for line in self.file.head(LOOKED_AT, self.encoding) if line.strip()]
        separator = separator_of(lines)
        if separator is None:
            raise DataError(f"{self.file} has no two columns", hint="separate a text and its English by a tab")
        rows = [cells for line in lines if len(cells := split(line, separator)) >= 2]
        sides, header = self._sides(rows)
        body = rows[1:] if header else rows
        share = [english_share(list(dict.fromkeys(row[column] for row in body))) for column in (0, 1)]
        best = int(share[1] >= share[0])
        named = sides_of_name(self.name) is not None
        if max(share) < _ENGLISH and not header and not named:
            raise DataError(
                f"no column of {self.file} is English ({share[0]:.0%} and {share[1]:.0%} of its words are known)",
                hint="give a list of texts and their English, or name both in a first line: 'de', a tab, 'en'",
            )
        clear = share[best] >= _ENGLISH and share[best] > _CLEARLY * share[1 - best]
        english = sides.index("en") if header or (named and not clear) else best
        lang = next((side for side in sides if side != "en"), None)
        assert lang is not None  # of two sides, one is not English
        return Layout(
            separator, 1 - english, english, lang, header,
            sum(words(row[english]) for row in body) > _WORDS_OF_A_SENTENCE * max(1, len(body)),
            bool(body) and sum(len(row) > 2 and bool(_TATOEBA.search(row[2])) for row in body) > len(body) / 2,
        )  # fmt: skip

    def _sides(self, rows: Sequence[Sequence[str]]) -> tuple[tuple[str, str], bool]:
        """The languages, and whether a header names them; the English one is called just ``en``."""
        head = [usual_language(cell) for cell in rows[0][:2]] if rows and all(rows[0][:2]) else []
        named = sides_of_name(self.name)
        found = named
        header = len(head) == 2 and all(head) and head[0] != head[1] and "en" in head
        if header:
            found = (str(head[0]), str(head[1]))
        if found is None and (single := usual_language(self.name.split(".")[0])) not in (None, "en"):
            found = (str(single), "en")
        if found is None and self.given:
            found = (self.given, "en")
        if found is None:
            raise DataError(
                f"{self.file} does not say its language",
                hint="call it by its languages, as in deu-eng.tsv, or name the one that is not English "
                "(--default-lang de)",
            )
        one, other = ("en" if side.split("-")[0] == "en" else side for side in found)
        if (one == "en") == (other == "en"):
            raise LanguageError(f"{self.file} is of {one} and {other}", hint="one side must be English: take another")
        return (one, other), bool(header)

    def pairs(self, cleaner: Cleaner) -> Iterator[Pair]:
        """Yield (text, English), line by line."""
        layout = self.layout
        last = max(layout.text, layout.english)
        for number, line in enumerate(self.file.lines(self.encoding)):
            if (number == 0 and layout.header) or not line or line.isspace():
                continue
            cells = split(line, layout.separator)
            if len(cells) <= last:
                cleaner.dropped["lines without two columns"] += 1
                continue
            text, english = cells[layout.text], cells[layout.english]
            if not layout.sentences:
                yield from (
                    cleaner.pairs([text], [english])
                    if layout.text < layout.english
                    else ((other, one) for one, other in cleaner.pairs([english], [text]))
                )
            elif (pair := sentence_pair(text, english, cleaner)) is not None:
                yield pair

    def licence(self) -> Licence:
        """Tatoeba's where it names its authors, else the user's own."""
        if self.layout.attributed:
            return Licence(self.name, "CC-BY-2.0-FR", "Tatoeba, by manythings.org", "https://tatoeba.org")
        return Licence(self.name, OWN, str(self.file))


def sentence_pair(text: str, english: str, cleaner: Cleaner) -> Pair | None:
    """Return a sentence and its translation, whole, or ``None`` with the reason counted."""
    if is_missing(text) or is_missing(english):
        cleaner.dropped["pairs of which one side is empty"] += 1
        return None
    try:
        return clean_text(text), clean_text(english)
    except DataError:
        cleaner.dropped["pairs with control characters or a wrong encoding"] += 1
        return None


def separator_of(lines: Sequence[str]) -> str | None:
    """Return a tab where most lines have one, an empty text where most are two words, else ``None``."""
    if not lines:
        return None
    if 2 * sum("\t" in line for line in lines) > len(lines):
        return "\t"
    if sum(len(line.split()) == 2 for line in lines) > 0.9 * len(lines):
        return ""
    return None


def split(line: str, separator: str) -> list[str]:
    """The cells of a line."""
    return line.split(separator) if separator else line.split(None, 1)


def is_list(file: TextFile) -> bool:
    """Whether a file looks like a list of pairs: two columns, and no header that a caption file has."""
    try:
        head = file.head(50)
    except DataError:
        try:  # in whatever encoding, which a user may name
            head = file.head(50, "latin-1")
        except DataError:
            return False
    lines = [line for line in head if line.strip()]
    separator = separator_of(lines)
    if separator is None:
        return False
    header = [cell.strip() for cell in split(lines[0], separator)]
    codes = [usual_language(cell) for cell in header]
    return all(codes) or not any(field_of(cell) for cell in header)
