"""Line-aligned files: line k of one file says in English what line k of the other says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from glotclip.data.dictionaries.cleaning import Cleaner, Pair
from glotclip.data.dictionaries.word_lists import sentence_pair
from glotclip.data.licences import Licence
from glotclip.data.streaming import TextFile
from glotclip.errors import DataError


@dataclass(frozen=True)
class Aligned:
    """Two files of one corpus.

    Attributes:
        name: what notes and cards call them.
        lang: the language of the first.
        texts, english: the files.
        terms: the terms they stand under.
        encoding: of both, as a user says.
        turned: never: there is no direction.
    """

    name: str
    lang: str
    texts: TextFile
    english: TextFile
    terms: Licence
    encoding: str | None = None
    turned: bool = False

    def pairs(self, cleaner: Cleaner) -> Iterator[Pair]:
        """Yield (text, English), line by line.

        Raises:
            DataError: if one file has more lines than the other.
        """
        lines = zip_longest(self.texts.lines(self.encoding), self.english.lines(self.encoding))
        for number, (text, english) in enumerate(lines):
            if text is None or english is None:
                short, long = (self.texts, self.english) if text is None else (self.english, self.texts)
                raise DataError(
                    f"{short} has {number:,} lines, {long} has more",
                    hint="the files must be line-aligned: line k of both is one sentence; fetch them anew",
                )
            if (pair := sentence_pair(text, english, cleaner)) is not None:
                yield pair

    def licence(self) -> Licence:
        """As said."""
        return self.terms
