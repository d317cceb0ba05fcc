"""The datasets glotclip knows by name, from ``catalog.toml``: what, how large, under which terms, from where.

Nothing there is ever fetched by itself; :mod:`glotclip.data.fetch` gets what npm carries, when asked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Literal

from glotclip.errors import DataError, did_you_mean

_TABLE = Path(__file__).with_name("catalog.toml")


@dataclass(frozen=True, slots=True)
class Entry:
    """One named dataset.

    Attributes:
        name: what the command line calls it.
        description: what it is, in a sentence.
        languages: which languages it has, in words or codes.
        licence: terms of use.
        source: where people get it.
        size: what one needs to keep, in words.
        files: the files it consists of, in words.
        counts: what its owner says :meth:`glotclip.data.dataset.Dataset.counts` finds; a name with ``*`` holds for
            all that match.
        parallel: whether its texts in several languages are translations of one another, line by line
            (``aligned``), or independent; empty: it has one language.
        opened_as: the name that opens it, where it is found without a folder.
        packages: the npm packages that :func:`glotclip.data.fetch.get` fetches.
        spdx: the licence of its texts as an SPDX expression or a short name, for cards; empty: as ``licence`` says.
        url: where it is published.
        by_language: whether it is fetched language by language, with :mod:`glotclip.data.fetch_freedict`.
    """

    name: str
    description: str
    languages: str
    licence: str
    source: str
    size: str
    files: str
    counts: Mapping[str, int] = field(default_factory=dict)
    parallel: Literal["", "aligned", "independent"] = ""
    opened_as: str = ""
    packages: tuple[str, ...] = ()
    spdx: str = ""
    url: str = ""
    by_language: bool = False

    @property
    def command(self) -> str:
        """The command that fetches it; empty where that is done by hand."""
        if self.by_language:
            return f"glotclip data get {self.name} --lang CODE"
        return f"glotclip data get {self.name}" if self.packages else ""


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted beside what the owner says; ``None``: not found, or nothing is said.

    ``pattern`` is the expected name, which may hold for several that were found.
    """

    name: str
    found: int | None
    expected: int | None
    pattern: str | None = None

    @property
    def right(self) -> bool:
        """Whether the two agree, or nothing is said."""
        return self.expected is None or self.found == self.expected


@cache
def datasets() -> dict[str, Entry]:
    """Return all entries by name, in the order of the file."""
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {name: Entry(name, **{**entry, "packages": tuple(entry.get("packages", ()))})
            for name, entry in table.items()}  # fmt: skip


def dataset(name: str) -> Entry:
    """Return a dataset by name; an unknown one is a :class:`DataError` that lists those there are."""
    known = datasets()
    if name in known:
        return known[name]
    raise DataError(f"there is no dataset {name!r}", hint=f"{did_you_mean(name, known)}known: {', '.join(known)}")


def compare(found: Mapping[str, int], expected: Mapping[str, int]) -> list[Count]:
    """Set what was found beside what is expected: all that was found, then what is expected and was not found.

    The first expected name that matches holds; an exact name should stand before a pattern that covers it.
    """
    counts = []
    matched: set[str] = set()
    for name, count in found.items():
        pattern = next((pattern for pattern in expected if fnmatchcase(name, pattern)), None)
        if pattern is not None:
            matched.add(pattern)
        counts.append(Count(name, count, None if pattern is None else expected[pattern], pattern))
    counts += [
        Count(pattern, None, number, pattern) for pattern, number in expected.items() if pattern not in matched
    ]
    return counts
