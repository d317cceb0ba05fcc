"""Sources of pairs, each one file or dictionary in one language, and the dataset that reads several of them."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from glotclip.data.benchmark import Benchmark
from glotclip.data.dataset import PathDataset
from glotclip.data.dictionaries.cleaning import Cleaner, Pair, completed
from glotclip.data.licences import Licence
from glotclip.data.pairs import MOST_PAIRS, PairCollector, corpus_of
from glotclip.data.parallel import Kind, Text, check
from glotclip.data.schema import Corpus
from glotclip.data.serving import no_captions, serve, servers
from glotclip.errors import LanguageError

_NO_LANGUAGE = "zxx"  # what py3langid calls text without a language
_LOOKED_AT, _ENOUGH_TO_GUESS, _JOINED = 2_000, 1_000, 10


class PairSource(Protocol):
    """Pairs of one language and English."""

    @property
    def name(self) -> str:
        """What notes and cards call it."""

    @property
    def lang(self) -> str:
        """Its language."""

    @property
    def turned(self) -> bool:
        """Whether it stands there from English into that."""

    def pairs(self, cleaner: Cleaner) -> Iterator[Pair]:
        """Yield (text, English)."""

    def licence(self) -> Licence:
        """The terms it stands under."""


def read_sources(name: str, sources: Sequence[PairSource], most: int = MOST_PAIRS) -> Corpus:
    """Read sources into one corpus: all pairs of a language together, each once.

    Args:
        name: of the corpus.
        sources: in the order in which their pairs come.
        most: pairs of a language at most.
    """
    collectors: list[PairCollector] = []
    notes: list[str] = []
    for lang in dict.fromkeys(each.lang for each in sources):
        mine = [each for each in sources if each.lang == lang]
        collector, dropped = PairCollector(lang, most), Counter[str]()
        for each in mine:
            cleaner = Cleaner()
            collector.add(completed(each.pairs(cleaner), lang, cleaner.dropped))
            dropped += cleaner.dropped
        notes += [f"{each.name} goes from English into {lang}; it is turned round" for each in mine if each.turned]
        notes += collector.notes(_listed([each.name for each in mine]), dropped)
        collectors.append(collector)
    return corpus_of(name, collectors, [each.licence() for each in sources], notes)


def check_sides(where: object, sides: tuple[str, str]) -> None:
    """Raise :class:`LanguageError` unless just one side is English."""
    english = [side.split("-")[0] == "en" for side in sides]
    if sum(english) != 1:
        raise LanguageError(
            f"{where} is of {sides[0]} and {sides[1]}", hint="one side must be English, the other not: take another"
        )


def check_language(corpus: Corpus, where: object) -> None:
    """Raise :class:`LanguageError` if texts, or their English, are plainly of another language than they claim.

    The script is looked at always, the language where py3langid is installed and there are enough texts.
    """
    for lang in corpus.languages:
        rows = [row for row in corpus.rows if row.lang == lang]
        rows = rows[:: max(1, len(rows) // _LOOKED_AT)]
        for code, texts in ((lang, [row.text for row in rows]), ("en", [row.english or "" for row in rows])):
            # A single word is too little to guess at.
            lines = [" ".join(texts[place : place + _JOINED]) for place in range(0, len(texts), _JOINED)]
            enough = len(texts) >= _ENOUGH_TO_GUESS
            checks = check([Text(str(where), "train", code, lines)], language=None if enough else False)
            for finding in checks:
                of_language = finding.kind in (Kind.SCRIPT, Kind.LANGUAGE)
                if of_language and finding.count > len(lines) / 2 and _NO_LANGUAGE not in finding.detail:
                    raise LanguageError(
                        f"the texts of {where} that should be {code} are not: {finding.detail}",
                        hint="check which language it holds, and which of its columns is which",
                    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


class PairDataset(PathDataset):
    """Texts and their English in a file or folder; there are no images, so there is nothing to hold out.

    Attributes:
        prefix: the name that may stand before the path, with a colon.
        closed: whether :meth:`languages` knows all that there are; else a file's beginning was looked at.
        most_pairs: of a language, that are held.
        trusted: whether the texts need not be looked at for the language that they claim.
    """

    prefix: ClassVar[str] = ""
    closed: ClassVar[bool] = True
    trusted: ClassVar[bool] = False
    most_pairs: ClassVar[int] = MOST_PAIRS
    precedence = -1
    no_use_for: ClassVar[tuple[str, ...]] = ("images", "hold_out", "max_skipped")
    no_use_since = "holds texts and their English"

    @classmethod
    def path_in(cls, data: str) -> Path:
        """The path that a user named, without the name before it."""
        name, _, rest = data.partition(":")
        return Path(rest) if rest and cls.prefix and name == cls.prefix and not Path(data).exists() else Path(data)

    @abstractmethod
    def pair_sources(self, langs: Sequence[str] | None) -> Sequence[PairSource]:
        """The sources of some languages, or of all."""

    def languages(self) -> list[str]:
        """Those of its sources."""
        return list(dict.fromkeys(each.lang for each in self.pair_sources(None)))

    def read(self, langs: Sequence[str] | None = None) -> Corpus:
        """All pairs, or those in some languages, read once."""
        key = None if langs is None else tuple(langs)
        if key not in self._corpora:
            corpus = read_sources(self.name, self.pair_sources(langs), self.most_pairs)
            if not self.trusted:
                check_language(corpus, self.path)
            self._corpora[key] = corpus
        return self._corpora[key]

    @property
    def _corpora(self) -> dict[tuple[str, ...] | None, Corpus]:
        found: dict[tuple[str, ...] | None, Corpus] = self.__dict__.setdefault("_read", {})
        return found

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The pairs in ``langs``, and no others.

        Raises:
            LanguageError: if there are none in one of them.
        """
        chosen = self._chosen(langs)
        corpus = self.read(chosen)
        have = corpus.languages
        if missing := [code for code in chosen if code not in have]:
            raise no_captions(self.path, missing, list(dict.fromkeys([*have, *self.languages()])))
        return serve(corpus, langs)

    def _chosen(self, langs: Sequence[str]) -> list[str]:
        have = self.languages()
        found = servers(langs, have)
        missing = [code for code in langs if code not in found]
        if missing and self.closed:
            raise no_captions(self.path, missing, have)
        return list(dict.fromkeys(found.get(code, code) for code in langs))

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """Nothing: texts without images are not searched with."""
        del langs
        return None

    def notes(self, langs: Sequence[str]) -> tuple[str, ...]:
        """What was read, turned round and left out."""
        return self.corpus(langs).notes

    def licences(self, langs: Sequence[str]) -> tuple[Licence, ...]:
        """The terms of the sources in ``langs``."""
        return tuple(each.licence() for each in self.pair_sources(self._chosen(langs)))

    def counts(self) -> dict[str, int]:
        """Pairs by language."""
        return dict(Counter(f"pairs {row.lang}" for row in self.read().rows))
