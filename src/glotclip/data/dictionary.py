"""Looking texts up in a bilingual dictionary, made of any pairs (text, English).

The whole text is looked up first: as written, then in one case and without punctuation around it. A text that is not
there is cut into the longest entries that are, from the left: words, or characters where no spaces part them. What is
in no entry stays as it is; names and loans are the same in many languages.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Protocol

import numpy as np
import numpy.typing as npt
import regex  # type: ignore[import-untyped]

READINGS = 4
"""How many translations of a text are given at most: long entries of dictionaries end in what is rare."""
# One character of a script without spaces, or a word with the apostrophes in it; a hyphen parts two words.
_WORD = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー々]|[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}\p{N}]+)*"
)
_EXACT = "="  # in front of a key that is a text as written; a text in one case begins with a letter or digit
_LONGEST = 24  # words or characters of an entry that is looked for inside a text


class Entries(Protocol):
    """Translations by key, those of one key with tabs between them; see :meth:`Dictionary.of_entries`."""

    def get(self, key: str, /) -> str | None:
        """The translations of a key, or ``None``."""

    def __len__(self) -> int: ...


class Dictionary:
    """Translations into English.

    Args:
        pairs: (text, English); several pairs of one text are its translations, the best first.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        exact: dict[str, tuple[str, dict[str, None]]] = {}
        folded: dict[str, dict[str, None]] = {}
        for text, several in groupby(pairs, key=itemgetter(0)):
            plain = _plain(text)
            bare, english = exact.setdefault(plain, (_bare(plain), {}))
            read = dict.fromkeys(" ".join(each.split()) for _, each in several)
            english.update(read)
            folded.setdefault(bare, {}).update(read)
        folded.pop("", None)
        found = {key: "\t".join(islice(english, READINGS)) for key, english in folded.items()}
        self._size = len(found)
        for plain, (bare, english) in exact.items():  # a spelling that means less than all that differ in case
            if (joined := "\t".join(islice(english, READINGS))) != found.get(bare):
                found[_EXACT + plain] = joined
        self._entries: Entries = found
        self.entries: Mapping[str, str] = found

    @classmethod
    def of_entries(cls, entries: Entries) -> Dictionary:
        """A dictionary of what another's :attr:`entries` hold, in any mapping."""
        book = cls(())
        book._entries, book._size = entries, len(entries)
        return book

    def __len__(self) -> int:
        """How many texts have a translation, written in one case."""
        return self._size

    def translations(self, text: str) -> list[str]:
        """English readings of a text, the best first, at least one and at most :data:`READINGS`."""
        return self.readings(text) or [text]

    def readings(self, text: str, most: int | None = None) -> list[str]:
        """As :meth:`translations`, but none of a text in which no entry is, or that takes more than ``most`` entries.

        Where the text is put together of entries, its k-th reading takes the k-th translation of each, or the last
        of one that has fewer.
        """
        if whole := self._whole(text):
            return whole[:READINGS]
        pieces = self._pieces(text, most)
        if not any(english for _, english in pieces):
            return []
        count = min(READINGS, max(len(english) for _, english in pieces))
        told = [english or [written] for written, english in pieces]
        readings = (" ".join(english[min(k, len(english) - 1)] for english in told) for k in range(count))
        return list(dict.fromkeys(readings))

    def share(self, text: str) -> float:
        """How much of a text is in entries: 1 for an entry, else the share of the pieces that it is cut into."""
        if self._whole(text):
            return 1.0
        pieces = self._pieces(text, None)
        return sum(bool(english) for _, english in pieces) / max(1, len(pieces))

    def _pieces(self, text: str, most: int | None) -> list[tuple[str, list[str]]]:
        """Cut a text into the longest entries, each with its translations; words that are in none have none.

        None at all, if there are more than ``most`` pieces.
        """
        found: list[tuple[str, list[str]]] = []
        words = list(_WORD.finditer(text))
        at = 0
        while at < len(words):
            if len(found) == most:
                return []
            ends = range(min(len(words), at + _LONGEST), at, -1)
            spans = ((end, text[words[at].start() : words[end - 1].end()]) for end in ends)
            known = ((end, span, english) for end, span in spans if (english := self._whole(span)))
            at, span, english = next(known, (at + 1, words[at].group(), []))
            found.append((span, english))
        return found

    def _whole(self, text: str) -> list[str]:
        """The translations of an entry, in another case if not as written; none if it is none."""
        found = self._entries.get(_EXACT + _plain(text)) or (
            self._entries.get(bare) if (bare := _bare(text)) else None
        )
        return found.split("\t") if found else []


def mean_of_readings(features: npt.NDArray[np.float32], counts: Sequence[int]) -> npt.NDArray[np.float32]:
    """Features (M, E) of texts: of each, the mean of those of its readings, normalised or not, the k-th weighing 1/k.

    Dictionaries put what is usual first: on the emoji names that are taught, and on those for validation, this found
    more than a plain mean, and more than the first alone.

    Args:
        features: of all readings (Σ counts, E), one text's after another's.
        counts: how many readings each of the M texts has, at least one.
    """
    parts = np.split(features, np.cumsum(counts)[:-1])
    weights = [1 / np.arange(1, count + 1, dtype=np.float32)[:, None] for count in counts]
    return np.stack([(part * each).sum(axis=0) / each.sum() for part, each in zip(parts, weights, strict=True)])


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _bare(text: str) -> str:
    """In one case, and without what is neither letter nor digit around it."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    if folded and folded[0].isalpha() and folded[-1].isalpha():  # which most are, and this is faster
        return " ".join(folded.split())
    return " ".join(regex.sub(r"^[^\p{L}\p{M}\p{N}]+|[^\p{L}\p{M}\p{N}]+$", "", folded).split())
