"""What texts of a language look like: how often its commonest short sequences of characters occur.

A profile is learnt from the texts that a pack was taught on and lies in the pack, some tens of kilobytes a language.
Several profiles together say how likely a text is in each language, by an interpolated n-gram model (Witten and Bell
1991, method C): p(c|h) = (count(hc) + T(h)·p(c|h′)) / (S(h) + T(h)), where h′ is h without its first character, S(h)
how often h is continued and T(h) in how many ways.

Shapes: L languages.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glotclip.errors import PackError
from glotclip.storage import read_json, write_json

FILE = "profile.json"
ORDER = 4  # longest sequence
KEPT = 4096  # sequences a language: enough for short texts, and no more than some tens of kilobytes
TEXTS = 20_000  # texts that a profile is learnt from at most, spread evenly over those there are
_ALPHABET = 5000.0  # what an unseen character is one of
_CACHED = 100_000
_BUILT_IN = Path(__file__).parents[1] / "assets" / "profiles"


def plain(text: str) -> str:
    """A text as profiles see it: composed, small letters, single spaces, one in front and one behind."""
    composed = unicodedata.normalize("NFC", text.lower())
    seen = (letter for letter in composed if unicodedata.category(letter) not in ("Cf", "Cs"))
    return f" {' '.join(''.join(seen).split())} "


@dataclass(frozen=True)
class Profile:
    """The commonest sequences of up to :data:`ORDER` characters in a language's texts, and how often each occurs."""

    counts: Mapping[str, int]

    @classmethod
    def learn(cls, texts: Sequence[str]) -> Profile:
        """Count the sequences of some texts; the same texts give the same profile, in the same order."""
        counts: Counter[str] = Counter()
        step = max(1, -(-len(texts) // TEXTS))
        for text in texts[::step]:
            seen = plain(text)
            for end in range(2, len(seen) + 1):
                counts.update(seen[start:end] for start in range(max(0, end - ORDER), end))
        return cls(_commonest(counts))

    def joined(self, other: Profile) -> Profile:
        """The profile of two sets of texts together, as far as both profiles know."""
        return Profile(_commonest(Counter(self.counts) + Counter(other.counts)))

    def record(self) -> list[dict[str, str]]:
        """As JSON: for each length, count → the sequences that occur so often, one after another."""
        found: list[dict[str, str]] = [{} for _ in range(ORDER)]
        for sequence, count in self.counts.items():
            same = found[len(sequence) - 1]
            same[str(count)] = same.get(str(count), "") + sequence
        return found

    @classmethod
    def of(cls, record: Sequence[Mapping[str, str]]) -> Profile:
        """The profile of a record.

        Raises:
            ValueError, TypeError, AttributeError: if it is none.
        """
        counts: dict[str, int] = {}
        for size, by_count in enumerate(record, start=1):
            for count, joined in by_count.items():
                if len(joined) % size or int(count) < 1:
                    raise ValueError(f"sequences of {size} characters that occur {count} times")
                counts.update((joined[at : at + size], int(count)) for at in range(0, len(joined), size))
        return cls(_commonest(counts))


def write_profiles(path: Path, profiles: Mapping[str, Profile]) -> None:
    """Write the profiles of some languages to one file; the same profiles give the same bytes."""
    write_json(path, {code: profiles[code].record() for code in sorted(profiles)})


def read_profiles(path: Path) -> dict[str, Profile]:
    """Read the profiles of a file.

    Raises:
        PackError: if it is damaged.
    """
    content: Any = read_json(path)
    try:
        return {code: Profile.of(record) for code, record in content.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise PackError(f"{path} is damaged: {error}") from error


@cache
def built_in(code: str) -> Profile | None:
    """The profile that comes with glotclip, for languages that bases bring with them: English."""
    path = _BUILT_IN / f"{code}.json"
    return read_profiles(path)[code] if path.is_file() else None


class NgramModel:
    """How likely texts are in each of several languages; safe to use from several threads.

    Args:
        profiles: of the L languages.
    """

    def __init__(self, profiles: Iterable[Profile]) -> None:
        known = list(profiles)
        self._languages = len(known)
        self._counts: dict[str, dict[int, int]] = {}  # sequence → language → how often
        self._followed: dict[str, dict[int, list[int]]] = {}  # beginning → language → how often, in how many ways
        for place, profile in enumerate(known):
            for sequence, count in profile.counts.items():
                self._counts.setdefault(sequence, {})[place] = count
                total = self._followed.setdefault(sequence[:-1], {}).setdefault(place, [0, 0])
                total[0] += count
                total[1] += 1
        self._known: dict[str, NDArray[np.float64]] = {}  # threads may fill in the same value twice

    def log_likelihood(self, text: str) -> NDArray[np.float64]:
        """The natural logarithm of the text's probability in each language (L,), as :func:`plain` gives it."""
        steps = [self._probability(text[max(0, end - ORDER) : end]) for end in range(2, len(text) + 1)]
        return np.asarray(np.log(steps).sum(axis=0)) if steps else np.zeros(self._languages)

    def _probability(self, sequence: str) -> NDArray[np.float64]:
        """The probability (L,) of a sequence's last character after the others."""
        found = self._known.get(sequence)
        if found is not None:
            return found
        found = self._probability(sequence[1:]) if len(sequence) > 1 else np.full(self._languages, 1 / _ALPHABET)
        if followed := self._followed.get(sequence[:-1]):
            places = list(followed)
            often, ways = np.array(list(followed.values()), dtype=float).T
            counts = self._counts.get(sequence, {})
            count = np.array([counts.get(place, 0) for place in places])
            found = found.copy()
            found[places] = (count + ways * found[places]) / (often + ways)
        if len(self._known) >= _CACHED:
            self._known = {}
        self._known[sequence] = found
        return found


def _commonest(counts: Mapping[str, int]) -> dict[str, int]:
    order = sorted(counts.items(), key=lambda item: (-item[1], len(item[0]), item[0]))
    return dict(order[:KEPT])
