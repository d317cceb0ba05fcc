"""Dictionaries of dictd: ``NAME.index`` says where in ``NAME.dict`` (or ``.dict.dz``, gzip) each entry stands.

A line of the index is a headword, an offset and a length in bytes, separated by tabs, both numbers in base 64
(dictd(8), dictfmt(1)). Entries whose headword begins with ``00database`` describe the dictionary. FreeDict's entries
begin with a line of headwords with pronunciation and grammar; then come the translations, and lines that are marked
as notes, synonyms, references and examples.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from glotclip.data.dictionaries.cleaning import Cleaner, Pair
from glotclip.errors import DataError

_DIGITS = {
    letter: value for value, letter in enumerate(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
_ABOUT = b"00"
_AT_ONCE = 2_000  # entries
_BETWEEN = "\x01"  # them
_SOUND = re.compile(r"\s+/{1,2}(?=[^\s/])[^/\n]+/{1,2}(?=[\s,]|$)")
_SENSE = re.compile(r"^\d{1,3}\.\s+\S")
_INNER_SENSE = re.compile(r"(?:^|\s+)\d{1,3}\.\s*$")
_LABEL = re.compile(
    r"^[ \t]*(?:see(?: also)?|Synonyms?|Antonyms?|Note|Usage|Example|Etymology|Derived|Related)[ \t]*:.*$",
    re.IGNORECASE | re.MULTILINE,
)
_EXAMPLE = re.compile(r'^\s*"(?P<text>.+)"\s*(?:-\s+(?P<translation>.+))?$')
# JMdict's remarks. In FreeDict's conversion no line ends between such a note and the translation after it.
_JMDICT_NOTES = (
    "word usually written using kana alone", "word usually written using kanji alone", "onomatopoeic or mimetic word",
    "abbreviation", "archaism", "colloquialism", "familiar language", "female term or language",
    "honorific or respectful (sonkeigo) language", "humble (kenjougo) language", "idiomatic expression",
    "jocular, humorous term", "male slang", "male term or language", "manga slang", "obscure term", "obsolete term",
    "poetical term", "polite (teineigo) language", "proverb", "quotation", "rare", "sensitive", "slang",
    "vulgar expression or word", "X-rated term", "yojijukugo", "derogatory", "children's language",
    "computer terminology",
)  # fmt: skip
_JMDICT_NOTE = re.compile(f"^[ \\t]*Note: (?:{'|'.join(map(re.escape, _JMDICT_NOTES))})(?P<rest>.*\\S)", re.MULTILINE)


@dataclass(frozen=True)
class Dictd:
    """One dictionary.

    Args:
        index: the path of its ``.index``.
    """

    index: Path

    @property
    def stem(self) -> str:
        """The dictionary's name, such as ``freedict-deu-eng``."""
        return self.index.name.removesuffix(".index")

    @property
    def body(self) -> Path:
        """The file with its entries."""
        for ending in (".dict.dz", ".dict", ".dict.gz"):
            path = self.index.with_name(self.stem + ending)
            if path.is_file():
                return path
        raise DataError(
            f"{self.index} is the index of {self.stem}.dict.dz, which does not lie beside it",
            hint="put both files of the dictionary into one folder",
        )

    @cached_property
    def about(self) -> str:
        """What the dictionary says of itself: title, maintainers, terms of use."""
        parts = [self._content[start : start + size] for _, start, size in self._about_places]
        return b"\n".join(parts).decode("utf-8", "replace")

    @property
    def title(self) -> str:
        """Its short name, "German - English Ding/FreeDict dictionary" for one."""
        for name, start, size in self._about_places:
            if name in (b"00databaseshort", b"00-database-short"):
                lines = self._content[start : start + size].decode("utf-8", "replace").strip().splitlines()
                return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def pairs(self, cleaner: Cleaner) -> Iterator[Pair]:
        """Yield (headword, translation) in the order of the file.

        Raises:
            DataError: if the two files do not belong together, or one is damaged.
        """
        about = self.about
        cleaner.parts_joined_words = "ergane" in about.lower() or "travlang" in about.lower()
        content, whole = self._content, len(self._content)
        places = sorted({(start, size) for name, start, size in self._places if not name.startswith(_ABOUT)})
        if beyond := [start + size for start, size in places if start + size > whole]:
            raise DataError(
                f"{self.index} points at byte {beyond[0]:,} of {self.body.name}, which has {whole:,}",
                hint="fetch both files of the dictionary anew; they belong to different versions",
            )
        for first in range(0, len(places), _AT_ONCE):
            entries = [content[start : start + size] for start, size in places[first : first + _AT_ONCE]]
            texts = [entry.decode("utf-8", "replace").lstrip("\n") for entry in entries]
            yield from pairs_of(texts, cleaner, wikdict="WikDict" in about)

    @cached_property
    def _content(self) -> bytes:
        try:
            content = self.body.read_bytes()
            return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{self.body} is damaged ({error})", hint="fetch it anew") from error

    @cached_property
    def _places(self) -> list[tuple[bytes, int, int]]:
        """Headword, offset and length of every line of the index."""
        return self._read_index(b"")

    @cached_property
    def _about_places(self) -> list[tuple[bytes, int, int]]:
        """Those of the lines that tell of the dictionary itself, without reading all others."""
        return self._read_index(_ABOUT)

    def _read_index(self, beginning: bytes) -> list[tuple[bytes, int, int]]:
        found = []
        for number, line in enumerate(self.index.read_bytes().split(b"\n"), start=1):
            if not line or not line.startswith(beginning):
                continue
            cells = line.split(b"\t")
            try:
                found.append((cells[0], _number(cells[1]), _number(cells[2])))
            except (IndexError, KeyError) as error:
                raise DataError(
                    f"{self.index}:{number} is no line of a dictd index",
                    hint="it needs a headword, an offset, a length",
                ) from error
        return found


def _number(digits: bytes) -> int:
    value = 0
    for digit in digits.rstrip(b"\r"):
        value = value * 64 + _DIGITS[digit]
    return value


def pairs_of(entries: Sequence[str], cleaner: Cleaner, *, wikdict: bool = False) -> Iterator[Pair]:
    """Yield the pairs of some entries, and the examples that have a translation.

    Marks are removed from all of them at once, which takes a third of the time.

    Args:
        entries: their texts, the first line of each with its headwords.
        cleaner: cleans, and counts what is left out.
        wikdict: whether translations stand in the first line of each sense only, and explanations in the language
            of the headword below, as in the dictionaries made by WikDict.
    """
    text = _BETWEEN.join(entry.replace(_BETWEEN, " ") for entry in entries)
    text, count = _SOUND.subn("\0", text)
    cleaner.dropped["pronunciations"] += count
    text = _JMDICT_NOTE.sub(r"\g<rest>", text)
    text, count = _LABEL.subn("", text)
    cleaner.dropped["cross references and notes"] += count
    for entry in cleaner.without_marks(text).split(_BETWEEN):
        lines = [line for line in entry.split("\n") if line and not line.isspace()]
        if not lines:
            continue
        senses: list[str] = []
        for number, line in enumerate(lines[1:]):
            if '"' in line and line.lstrip().startswith('"') and (match := _EXAMPLE.match(line)):
                pair = cleaner.example(match["text"], match["translation"] or "")
                if pair is not None:
                    yield pair
            elif not wikdict:
                senses.append(line)
            elif number == 0 or _SENSE.match(line):
                senses.append(_INNER_SENSE.sub("", line))
            else:
                cleaner.dropped["explanations in the language of the headword"] += 1
        # A pronunciation and a comma part two headwords; other commas are part of one.
        headwords = [each.replace("\0", " ") for each in lines[0].split("\0,")]
        yield from cleaner.pairs(headwords, [sense.replace("\0", " ") for sense in senses])
