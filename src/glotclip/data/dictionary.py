"""Looking texts up in a bilingual dictionary, made of any pairs (text, English).

The whole text is looked up first: as written, then in one case and without punctuation around it. A text that is not
there is cut into the longest entries that are, from the left: words, or characters where no spaces part them. What is
in no entry stays as it is; names and loans are the same in many languages.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import regex  # type: ignore[import-untyped]

READINGS = 4
"""How many translations of a text are given at most: long entries of dictionaries end in what is rare."""
# One character of a script without spaces, or a word with the apostrophes in it; a hyphen parts two words.
_WORD = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー々]|[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}\p{N}]+)*"
)
_LONGEST = 24  # words or characters of an entry that is looked for inside a text


class Dictionary:
    """Translations into English.

    Args:
        pairs: (text, English); several pairs of one text are its translations, the best first.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._exact: dict[str, dict[str, None]] = {}
        self._folded: dict[str, dict[str, None]] = {}
        for text, english in pairs:
            self._exact.setdefault(_plain(text), {})[english] = None
            self._folded.setdefault(_bare(text), {})[english] = None
        self._folded.pop("", None)

    def __len__(self) -> int:
        """How many texts have a translation, written in one case."""
        return len(self._folded)

    def translations(self, text: str) -> list[str]:
        """English readings of a text, the best first, at least one and at most :data:`READINGS`.

        Where the text is put together of entries, its k-th reading takes the k-th translation of each, or the last
        of one that has fewer.
        """
        if whole := self._whole(text):
            return whole[:READINGS]
        pieces = self._pieces(text)
        count = min(READINGS, max(map(len, pieces), default=1))
        readings = (" ".join(piece[min(k, len(piece) - 1)] for piece in pieces) for k in range(count))
        return list(dict.fromkeys(readings)) if pieces else [text]

    def _pieces(self, text: str) -> list[Sequence[str]]:
        """Cut a text into the longest entries; the translations of each, and words that are in none as they are."""
        found: list[Sequence[str]] = []
        words = list(_WORD.finditer(text))
        at = 0
        while at < len(words):
            ends = range(min(len(words), at + _LONGEST), at, -1)
            spans = ((end, text[words[at].start() : words[end - 1].end()]) for end in ends)
            known = ((end, english) for end, span in spans if (english := self._whole(span)))
            at, english = next(known, (at + 1, [words[at].group()]))
            found.append(english)
        return found

    def _whole(self, text: str) -> list[str]:
        """The translations of an entry, in another case if not as written; none if it is none."""
        return list(self._exact.get(_plain(text)) or self._folded.get(_bare(text)) or ())


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _bare(text: str) -> str:
    """In one case, and without what is neither letter nor digit around it."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(regex.sub(r"^[^\p{L}\p{M}\p{N}]+|[^\p{L}\p{M}\p{N}]+$", "", folded).split())
