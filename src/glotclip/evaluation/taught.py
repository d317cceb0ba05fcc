"""Which queries are *known*: all their words occur in the texts that the language was taught with.

A model cannot know the rest but by likeness of words, so their scores say something else and stand apart. The same
rule divides a test's unseen concepts: *composable* names, all of whose words were taught in other names, and others.

**Words** are runs of letters, marks and digits, in one case (NFKC, case-folded). Scripts that put no space between
words have no such runs, and where their words end is a matter of opinion, of models, or of the tokenizer, whose
pieces differ from model to model. There, sequences of about a word's length stand for words: two characters of Han
and kana, four of Thai, Lao, Khmer and Burmese letters. A run of them is known if each of its characters stands in a
sequence that was taught; a shorter run is known if it occurs. The rule depends on texts alone, so all models and
rivals are divided alike.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark

KNOWN, UNKNOWN = "known", "unknown"
UNSEEN = "unseen"
COMPOSABLE, OTHER = f"{UNSEEN} composable", f"{UNSEEN} other"
RULE = "known: all words of the text occur in the language's training texts"
_UNSPACED = (
    (2, r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー々"),
    (4, r"\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}"),
)


@dataclass(frozen=True)
class TaughtWords:
    """The words of some texts: those between spaces, and sequences of scripts without spaces."""

    words: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> TaughtWords:
        """The words of texts, which are gone through once."""
        found: set[str] = set()
        for text in texts:
            for run, length in _runs(text):
                found.update(_sequences(run, length))
        return cls(frozenset(found))

    def know(self, text: str) -> bool:
        """Whether all words of a text are among them; a text without any word is known if nothing else can be."""
        return all(self._has(run, length) for run, length in _runs(text))

    def _has(self, run: str, length: int) -> bool:
        if not length or len(run) <= length:
            return run in self.words
        taught = [run[at : at + length] in self.words for at in range(len(run) - length + 1)]
        return all(any(taught[max(0, at - length + 1) : at + 1]) for at in range(len(run)))


def divided(benchmark: Benchmark, taught: Mapping[str, TaughtWords]) -> Benchmark:
    """Divide a benchmark's texts into known and unknown ones, in the languages whose training texts are given.

    Where the benchmark tells concepts that were never taught (a subset ``unseen``), it is those that are divided.

    Args:
        benchmark: what is asked.
        taught: by language of the benchmark, the words that were taught.
    """
    unseen = benchmark.subsets.get(UNSEEN)
    masks: dict[str, dict[str, Any]] = {}
    for code, words in taught.items():
        captions = benchmark.captions.get(code, ())
        known = np.array([words.know(caption.text) for caption in captions], dtype=np.bool_)
        if unseen is None:
            masks[code] = {KNOWN: known, UNKNOWN: ~known}
        else:
            of = unseen[[caption.image for caption in captions]]
            masks[code] = {COMPOSABLE: of & known, OTHER: of & ~known}
    if not masks:
        return benchmark
    return replace(
        benchmark,
        text_subsets={**benchmark.text_subsets, **masks},
        protocol="; ".join(filter(None, (benchmark.protocol, RULE))),
    )


def _runs(text: str) -> Iterator[tuple[str, int]]:
    """Runs of letters, and the length of the sequences that stand for words in them; 0: the run is a word."""
    for match in _pattern().finditer(unicodedata.normalize("NFKC", text).casefold()):
        group = match.lastindex
        yield match.group(), _UNSPACED[group - 1][0] if group <= len(_UNSPACED) else 0


def _sequences(run: str, length: int) -> Iterator[str]:
    """The words in a run: itself, or its sequences of every length up to ``length``."""
    if not length:
        yield run
    for size in range(1, length + 1):
        yield from (run[at : at + size] for at in range(len(run) - size + 1))


@cache
def _pattern() -> Any:
    import regex  # type: ignore[import-untyped]

    unspaced = "".join(letters for _, letters in _UNSPACED)
    groups = [rf"([{letters}]+)" for _, letters in _UNSPACED]
    return regex.compile(rf"(?V1){'|'.join(groups)}|([[\p{{L}}\p{{M}}\p{{N}}]--[{unspaced}]]+)")
