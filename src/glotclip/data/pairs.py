"""Pairs of a text and its English, from dictionaries and parallel sentences of any size, become one corpus.

Pairs are streamed. Never more than :data:`MOST_PAIRS` are held: of a larger source those stay whose hashes are the
smallest, which is a fair draw, the same in every run, and independent of the order of the file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from glotclip.data.licences import Licence
from glotclip.data.schema import Corpus, Row

#: A dictionary of a million pairs trains as well as one of ten.
MOST_PAIRS = 1_000_000
#: So many texts with one English counterpart are kept, and so many English counterparts of one text.
MOST_OF_ONE = 50
#: A language with fewer pairs is warned about.
FEW_PAIRS = 1_000
_NO_TRANSLATIONS: Mapping[str, str] = {}
_WHOLE = 1 << 64
_QUOTED = 60


@dataclass
class PairCollector:
    """The pairs of one language while they are read.

    Attributes:
        lang: the language of the texts.
        most: how many pairs are held at most.
        dropped: how often a pair was left out, by reason in words.
        read: how many pairs came.
    """

    lang: str
    most: int = MOST_PAIRS
    dropped: Counter[str] = field(default_factory=Counter)
    read: int = 0
    _kept: dict[int, tuple[str, str]] = field(default_factory=dict)
    _texts: Counter[str] = field(default_factory=Counter)
    _english: Counter[str] = field(default_factory=Counter)
    _too_many: Counter[str] = field(default_factory=Counter)
    _below: int = _WHOLE

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Take pairs (text, English), clean in the sense of :func:`~glotclip.data.schema.clean_text`."""
        kept, texts, english, blake = self._kept, self._texts, self._english, hashlib.blake2b
        for text, counterpart in pairs:
            self.read += 1
            mark = f"{text}\0{counterpart}".encode("utf-8", "surrogatepass")
            key = int.from_bytes(blake(mark, digest_size=8).digest(), "big")
            if key >= self._below:
                continue
            if key in kept:
                self.dropped["pairs that are there before"] += 1
                continue
            if english[counterpart] >= MOST_OF_ONE:
                self._too_many[counterpart] += 1
                continue
            if texts[text] >= MOST_OF_ONE:
                self.dropped[f"translations of a text after its first {MOST_OF_ONE}"] += 1
                continue
            kept[key] = (text, counterpart)
            texts[text] += 1
            english[counterpart] += 1
            if len(kept) > self.most + self.most // 4:
                self._thin()

    def _thin(self) -> None:
        """Keep the pairs of the smallest hashes, and forget the others."""
        self._below = sorted(self._kept)[self.most]
        for key in [key for key in self._kept if key >= self._below]:
            text, english = self._kept.pop(key)
            for counts, each in ((self._texts, text), (self._english, english)):
                counts[each] -= 1
                if not counts[each]:
                    del counts[each]

    def _finish(self) -> None:
        if len(self._kept) > self.most:
            self._thin()

    def rows(self) -> list[Row]:
        """A row for each pair, in the order of the file."""
        self._finish()
        lang, none = self.lang, _NO_TRANSLATIONS
        return [Row(text, lang, None, None, english, none) for text, english in self._kept.values()]

    def notes(self, name: str, dropped: Mapping[str, int] | None = None) -> list[str]:
        """What a reader should know: how many pairs there are, and of what was left out how much.

        Args:
            name: what the source is called.
            dropped: what was left out before pairs came here, such as by a cleaner, by reason.
        """
        self._finish()
        count = len(self._kept)
        left_out = Counter(dropped or {}) + self.dropped
        said = "; ".join(f"{reason} {number:,}" for reason, number in left_out.most_common())
        notes = [f"{name}: {count:,} pairs of {self.lang} and en" + (f"; left out: {said}" if said else "")]
        if self._below < _WHOLE:
            notes.append(f"{name}: of {self.read:,} pairs {count:,} are used, drawn by their hashes")
        if self._too_many:
            english, more = self._too_many.most_common(1)[0]
            others = f", and {len(self._too_many) - 1:,} more are such" if len(self._too_many) > 1 else ""
            notes.append(
                f"{name}: {more + MOST_OF_ONE:,} {self.lang} texts have the one English counterpart {_shown(english)}"
                f"{others}; {MOST_OF_ONE} of each are used, {self._too_many.total():,} are not"
            )
        return notes

    @property
    def count(self) -> int:
        """How many pairs are held."""
        return len(self._kept)


def few(name: str, lang: str, count: int) -> str:
    """Say that a language has too few pairs to generalise from."""
    return (
        f"{name}: {count:,} pairs are too few to learn {lang} from (words that are not among them stay unknown): add "
        f"a dictionary (`glotclip data get freedict --lang {lang}`, --data freedict) or sentences (--data FILE)"
    )


def corpus_of(
    name: str,
    collectors: Sequence[PairCollector],
    licences: Sequence[Licence],
    notes: Sequence[str],
) -> Corpus:
    """Join what was collected in several languages; a language with few pairs is warned about."""
    rows = tuple(row for each in collectors for row in each.rows())
    warned = [few(name, each.lang, each.count) for each in collectors if each.count < FEW_PAIRS]
    licence = "; ".join(dict.fromkeys(each.licence for each in licences)) or "unknown"
    return Corpus(name, rows, (), licence, notes=(*notes, *warned))


def _shown(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…")
