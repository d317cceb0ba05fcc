"""A pack's glossary: short texts and their English, looked up beside the language's own rows.

A dictionary knows what its entries mean, and rows of a table know what a new text is likely to mean. A query of a
few entries is therefore encoded twice, in its language and as the English that the glossary has for it, and its
feature is the normalised mean of both; longer texts are read in their language alone. docs/methods.md has what this
gives.

A glossary is one block of sorted lines, looked up by bisection: opening it takes no longer than decompressing it, and
memory holds no more than its text.

Shapes: M texts, E embedding.
"""

from __future__ import annotations

import lzma
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import regex  # type: ignore[import-untyped]

from glotclip.data.dictionary import Dictionary, mean_of_readings
from glotclip.data.similarity import normalised
from glotclip.errors import PackError
from glotclip.models.tokens import Tokens
from glotclip.storage import writing

FILE = "glossary.txt.xz"
ENGLISH = "en"
MOST_PIECES = 6  # of a query that is looked up: a sentence of single words in a row says less than the sentence
_ENGLISH_WORDS = 5  # of an entry's English: what has more is a sentence or an explanation
_NEWLINE = 10
_LATIN = regex.compile(r"\p{Latin}")
_TELLING = 2000  # entries from which it says something that a word is in none
_PRESET = 1  # for a fifth of the time of the best one, a fifth more bytes


@dataclass(frozen=True)
class Glossary:
    """Entries of one or several languages.

    Attributes:
        block: lines "code key<tab>English<tab>…" in the order of their keys' UTF-8 bytes, each with its end.
    """

    block: bytes = b""

    @classmethod
    def of(cls, code: str, pairs: Iterable[tuple[str, str]], size: int) -> Glossary:
        """The glossary of one language.

        Args:
            code: the language.
            pairs: (text, English), the best English first.
            size: entries that are kept at most: the shortest, which are the most usual ones.
        """
        short = ((text, english) for text, english in pairs if len(english.split()) <= _ENGLISH_WORDS)
        entries = Dictionary(short).entries
        lines = (f"{code} {key}\t{english}\n" for key, english in entries.items())
        return cls(_sorted(line.encode(errors="replace") for line in lines)).shortest(size)

    def shortest(self, size: int) -> Glossary:
        """The ``size`` entries of each language whose texts are the shortest."""
        if len(self) <= size:
            return self
        kept: list[bytes] = []
        for code in self.codes:
            own = self.only({code})._lines
            kept += sorted(own, key=lambda line: len(line.partition(b"\t")[0].decode()))[:size]
        return Glossary(_sorted(kept))

    def joined(self, other: Glossary) -> Glossary:
        """Both; where both have a language, the other's entries take its place."""
        return Glossary(_sorted((*self.only(self.codes - other.codes)._lines, *other._lines)))

    def only(self, codes: Collection[str]) -> Glossary:
        """The entries of some of its languages."""
        return Glossary(b"".join(line for line in self._lines if line.partition(b" ")[0].decode() in codes))

    @property
    def codes(self) -> set[str]:
        """The languages that it has entries of."""
        return {code.decode() for code in {line.partition(b" ")[0] for line in self._lines}}

    def __len__(self) -> int:
        """Entries of all languages."""
        return len(self._ends)

    def get(self, key: str) -> str | None:
        """The rest of the line that begins with a key, or ``None``."""
        sought = key.encode(errors="replace")
        place = self._place(sought)
        found, _, rest = self._line(place).partition(b"\t") if place < len(self) else (b"", b"", b"")
        return rest.decode() if found == sought else None

    def _place(self, sought: bytes) -> int:
        """The first line whose key is not before a key."""
        low, high = 0, len(self._ends)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._line(middle).partition(b"\t")[0] < sought else (low, middle)
        return low

    def _line(self, place: int) -> bytes:
        return self.block[self._ends[place - 1] + 1 if place else 0 : self._ends[place]]

    def readings(self, texts: Sequence[str], code: str) -> list[list[str]]:
        """The English of each text in a language, or nothing.

        A text of Latin letters in which no entry is stands for itself: names and loans are the same in many
        languages.
        Texts of more than :data:`MOST_PIECES` entries or words have no English.
        """
        book = self._book(code)
        return [book.readings(text, MOST_PIECES) or ([text] if _may_be_a_loan(text) else []) for text in texts]

    def share(self, text: str, code: str) -> float:
        """How much of a text is in entries of a language; see :meth:`glotclip.data.dictionary.Dictionary.share`.

        NaN where the language has too few entries for that to say anything.
        """
        prefix = f"{code} ".encode()
        entries = self._place(prefix[:-1] + b"!") - self._place(prefix)  # "!" follows the space
        return self._book(code).share(text) if entries >= _TELLING else math.nan

    def _book(self, code: str) -> Dictionary:
        return Dictionary.of_entries(_Prefixed(self, f"{code} "))

    def write(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        with writing(path) as aside:
            aside.write_bytes(lzma.compress(self.block, preset=_PRESET))

    @classmethod
    def read(cls, path: Path) -> Glossary:
        """Read it.

        Raises:
            PackError: if the file is damaged.
        """
        try:
            block = lzma.decompress(path.read_bytes())
            block.decode()
        except (lzma.LZMAError, EOFError, UnicodeDecodeError) as error:
            raise PackError(f"{path} is damaged: {error}", hint="get the pack again") from error
        return cls(block)

    @property
    def _lines(self) -> list[bytes]:
        return [line + b"\n" for line in self.block.split(b"\n")[:-1]]

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        """Where each line ends."""
        return np.flatnonzero(np.frombuffer(self.block, np.uint8) == _NEWLINE)


@dataclass(frozen=True)
class _Prefixed:
    """The entries of one language."""

    glossary: Glossary
    prefix: str

    def get(self, key: str) -> str | None:
        return self.glossary.get(self.prefix + key)

    def __len__(self) -> int:
        return len(self.glossary)


def fused(
    features: npt.NDArray[np.float32],
    readings: Sequence[Sequence[str]],
    encode: Callable[[list[str]], npt.NDArray[np.float32]],
) -> npt.NDArray[np.float32]:
    """Features of texts, read in their language and looked up (M, E), normalised where there is something looked up.

    Args:
        features: of the texts as they are read in their language (M, E).
        readings: the English of each; of some, none.
        encode: normalised features of English texts.
    """
    rows = [row for row, some in enumerate(readings) if some]
    if not rows:
        return features
    english = list(dict.fromkeys(each for some in readings for each in some))
    place = {text: number for number, text in enumerate(english)}
    encoded = encode(english)[[place[each] for row in rows for each in readings[row]]]
    looked_up = mean_of_readings(encoded, [len(readings[row]) for row in rows])
    found = features.copy()
    found[rows] = normalised(normalised(features[rows]) + normalised(looked_up))
    return found


def known_words(
    shares: Mapping[str, Callable[[str], float]],
    languages: Collection[str],
    tokenized: Callable[[Sequence[str]], Tokens],
) -> dict[str, Callable[[str], float]]:
    """How much of a text is in words that a language is known to have, for a guess of its language.

    Those of its glossary; of English, whose words the base knows, those that are one token. None without a glossary.

    Args:
        shares: of languages with a glossary, :meth:`Glossary.share`.
        languages: all that may be guessed.
        tokenized: brings texts into the base's tokens.
    """
    if not shares or ENGLISH not in languages:
        return dict(shares)
    return {ENGLISH: partial(_one_token, tokenized), **shares}


def _one_token(tokenized: Callable[[Sequence[str]], Tokens], text: str) -> float:
    """The share of a text's words that are one token."""
    words = text.split()
    none, *lengths = tokenized(["", *words]).lengths.tolist()
    whole: int = sum(length == none + 1 for length in lengths)
    return whole / max(1, len(words))


def _may_be_a_loan(text: str) -> bool:
    """Whether it has letters, all of them Latin, and no more than some words."""
    letters = [letter for letter in text if letter.isalpha()]
    few = len(text.split()) <= MOST_PIECES
    return few and bool(letters) and all(_LATIN.match(letter) for letter in letters)


def _sorted(lines: Iterable[bytes]) -> bytes:
    """Lines in the order of their keys: a key may have a character that comes before the tab."""
    ordered: list[bytes] = sorted(lines, key=lambda line: line.partition(b"\t")[0])
    return b"".join(ordered)
