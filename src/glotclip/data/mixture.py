"""Several sources at once, each with a share of every batch: a dictionary for names, sentences for captions.

``freedict`` and ``captions.tsv`` together halve every batch between them, whatever their sizes; ``captions.tsv=2``
has two parts of three. Everything else about them (cleaning, splits, terms) stays their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, Unpack

from glotclip.data.benchmark import Benchmark
from glotclip.data.dataset import Dataset, open_dataset, recognised
from glotclip.data.licences import Licence
from glotclip.data.pairs import FEW_PAIRS, few
from glotclip.data.reading import Reading, ReadingOptions
from glotclip.data.schema import Corpus
from glotclip.data.serving import no_captions, servers
from glotclip.data.video import Sampling
from glotclip.errors import ConfigError

#: What names one source, and what names one or several.
Source: TypeAlias = "str | Path | Dataset"
Sources: TypeAlias = "Source | Sequence[Source] | Mapping[str, float]"
_WEIGHTED = re.compile(r"(?P<name>.+)=(?P<weight>\d+(?:\.\d+)?|\.\d+)")


def parts_of(data: Sources) -> list[tuple[Source, float]]:
    """Return each source with its weight: of a name, a list of names (``NAME=WEIGHT``), or a mapping.

    Raises:
        ConfigError: if there is none, or a weight is not above 0.
    """
    if isinstance(data, Mapping):
        parts: list[tuple[Source, float]] = [(name, float(weight)) for name, weight in data.items()]
    elif isinstance(data, str | Path | Dataset):
        parts = [_weighted(data)]
    else:
        parts = [_weighted(each) for each in data]
    if not parts:
        raise ConfigError("no data was named", hint="name at least one source, e.g. --data freedict")
    for name, weight in parts:
        if not weight > 0:
            raise ConfigError(f"the weight of {name} is above 0, not {weight:g}", hint="leave the source out instead")
    return parts


def names_of(data: Sources) -> list[str]:
    """Return the names and paths of the sources, for checks and reports; of an open dataset its files."""
    found: list[str] = []
    for source, _ in parts_of(data):
        found += [str(path) for path in source.sources] if isinstance(source, Dataset) else [str(source)]
    return found


def described(data: Sources) -> str:
    """Return how a report names the data: ``freedict + captions.tsv=2``."""
    parts = parts_of(data)
    names = [source.name if isinstance(source, Dataset) else str(source) for source, _ in parts]
    return _named(names, [weight for _, weight in parts])


def open_data(data: Sources, **reading: Unpack[Reading]) -> Dataset:
    """Open one source, or several as a mixture.

    Args:
        data: what :func:`parts_of` takes.
        reading: how data of one's own is read; each source takes what has a meaning for it.

    Raises:
        DataError: if there is no such source.
        ConfigError: for an option that has no meaning for any.
    """
    parts = parts_of(data)
    if len(parts) == 1:
        return _opened(parts[0][0], reading)
    kinds = [recognised(source) for source, _ in parts if not isinstance(source, Dataset)]
    for name in reading:
        if all(kind is not None and name in kind.no_use_for for kind in kinds):
            ReadingOptions(**reading).refuse("any of the sources named", (name,))
    opened = []
    for source, weight in parts:
        kind = None if isinstance(source, Dataset) else recognised(source)
        own = {name: value for name, value in reading.items() if kind is None or name not in kind.no_use_for}
        opened.append((_opened(source, {} if isinstance(source, Dataset) else own), weight))  # type: ignore[arg-type]
    return Mixture(opened)


def _opened(source: Source, reading: Reading) -> Dataset:
    if not isinstance(source, Dataset):
        return open_dataset(source, **reading)
    if reading:
        raise ConfigError(
            f"{', '.join(reading)} cannot be set for a dataset that is open already",
            hint="give them to glotclip.data.dataset.open_dataset",
        )
    return source


class Mixture(Dataset):
    """Several datasets with weights.

    Args:
        parts: each with its weight.
    """

    def __init__(self, parts: Sequence[tuple[Dataset, float]]) -> None:
        self.parts: dict[str, Dataset] = {}
        self.weights: dict[str, float] = {}
        self._last: tuple[tuple[str, ...], list[Corpus]] | None = None
        for dataset, weight in parts:
            name, again = dataset.name, 2
            while name in self.parts:
                name, again = f"{dataset.name} ({again})", again + 1
            self.parts[name], self.weights[name] = dataset, weight
        self.name = _named(list(self.parts), list(self.weights.values()))

    @property
    def sources(self) -> tuple[Path, ...]:
        """Those of all parts."""
        return tuple(path for part in self.parts.values() for path in part.sources)

    def languages(self) -> list[str]:
        """Those of any part."""
        return list(dict.fromkeys(code for part in self.parts.values() for code in part.languages()))

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The rows of all parts, each marked with its part.

        Raises:
            LanguageError: for a language that no part has, and for a part that has none of the languages.
        """
        corpora = self._corpora(langs)
        rows = [replace(row, part=name) for name, each in zip(self.parts, corpora, strict=True) for row in each.rows]
        have = {row.lang for row in rows}
        if missing := [code for code in langs if code not in have]:
            raise no_captions(self.name, missing, self.languages())
        return Corpus(
            self.name,
            tuple(rows),
            tuple(item for each in corpora for item in each.skipped),
            "; ".join(dict.fromkeys(each.licence for each in corpora)),
            {key: value for each in corpora for key, value in each.provenance.items()},
            next((each.sampling for each in corpora if each.sampling != Sampling()), Sampling()),
            self._notes(corpora, langs),
            divided=all(each.divided for each in corpora),
            unused=tuple(item for each in corpora for item in each.unused),
            weights=self.weights,
        )

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The benchmark of the first part that has one."""
        found = (part.held_out(langs) for part in self.parts.values())
        return next((each for each in found if each is not None), None)

    def notes(self, langs: Sequence[str]) -> tuple[str, ...]:
        """Those of all parts, what a batch has of each, and which language a part lacks."""
        said = [note for name, part in self.parts.items() for note in part.notes(self._served(name, langs) or langs)]
        return (*self._relevant(said, self._corpora(langs), langs), *self._own(langs))

    def _corpora(self, langs: Sequence[str]) -> list[Corpus]:
        """The corpus of each part, the last ones asked for read once; a part that is of no use says so itself."""
        if self._last is None or self._last[0] != tuple(langs):
            found = [part.corpus(self._served(name, langs) or langs) for name, part in self.parts.items()]
            self._last = (tuple(langs), found)
        return self._last[1]

    def _notes(self, corpora: Sequence[Corpus], langs: Sequence[str]) -> tuple[str, ...]:
        return (*self._relevant([note for each in corpora for note in each.notes], corpora, langs), *self._own(langs))

    def licences(self, langs: Sequence[str]) -> tuple[Licence, ...]:
        """Those of all parts."""
        found = (each for name, part in self.parts.items() for each in part.licences(self._served(name, langs)))
        return tuple(dict.fromkeys(found))

    def _served(self, name: str, langs: Sequence[str]) -> list[str]:
        """Those of ``langs`` that a part has; all where it was not looked through to its end."""
        part = self.parts[name]
        if not getattr(part, "closed", True):
            return list(langs)
        return list(servers(langs, part.languages()))

    def _relevant(self, notes: Sequence[str], corpora: Sequence[Corpus], langs: Sequence[str]) -> list[str]:
        """Leave out that a part has few pairs of a language where the mixture has enough."""
        counts = {code: [sum(row.lang == code for row in each.rows) for each in corpora] for code in langs}
        needless = {
            few(each.name, code, count)
            for code, own in counts.items()
            if sum(own) >= FEW_PAIRS
            for each, count in zip(corpora, own, strict=True)
        }
        return [note for note in notes if note not in needless]

    def _own(self, langs: Sequence[str]) -> list[str]:
        """What a batch has of each part, and what a part lacks."""
        total = sum(self.weights.values())
        shares = ", ".join(f"{weight / total:.0%} {name}" for name, weight in self.weights.items())
        lacking = {name: [code for code in langs if code not in self._served(name, langs)] for name in self.parts}
        lacks = [f"{name} has nothing in {', '.join(codes)}" for name, codes in lacking.items() if codes]
        return [f"of every batch {shares}", *lacks]


def _named(names: Sequence[str], weights: Sequence[float]) -> str:
    equal = len(set(weights)) == 1
    return " + ".join(name if equal else f"{name}={weight:g}" for name, weight in zip(names, weights, strict=True))


def _weighted(source: Source) -> tuple[Source, float]:
    """Part a weight from a name, unless a file is called so."""
    if isinstance(source, str) and not Path(source).exists() and (match := _WEIGHTED.fullmatch(source)):
        return match["name"], float(match["weight"])
    return source, 1.0
