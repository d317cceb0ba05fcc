"""What a translation engine is, and what engines share: the version of what they run, and chains of pairs.

**The promise** of a :class:`~glotclip.translate.translator.Translator`, which stands before every engine: as many
answers as texts, in their order, none of them empty. An engine that gives another number of answers than it was asked
for has failed, and that raises. A single text that it has no answer to is no failure: the text itself stands in the
answer's place, which keeps the lines aligned, and the count is told.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from glotclip.data.digests import DigestIndex
from glotclip.errors import ConfigError, DataError, LanguageError, MissingExtraError
from glotclip.languages import normalise

Pair = tuple[str, str]


class Engine(Protocol):
    """Translates texts. Name and version say which answers are the same: they key the disk cache."""

    @property
    def name(self) -> str:
        """What kind of engine this is."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same text might be translated in another way."""
        ...

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate from language ``source`` into ``target``: one answer a text, in order, empty where there is none.

        Args:
            texts: what to translate, without line breaks; none is empty.
            source: BCP-47 code of the texts' language, normalised.
            target: BCP-47 code of the language to translate into, normalised.

        Raises:
            LanguageError: if the engine does not translate between these languages.
        """
        ...


class UnansweredWarning(UserWarning):
    """An engine had no answer to some texts, and they stand untranslated in the answers' places."""


class BatchEngine(ABC):
    """Base of the engines of this package; see :class:`Engine`.

    Attributes:
        name: what kind of engine this is.
        chunk: how many texts to ask for at once, so that progress is seen and little is lost by a kill.
        cacheable: False where an answer costs no more than looking it up in the cache.
    """

    name: str
    chunk: int = 512
    cacheable: bool = True

    @property
    @abstractmethod
    def version(self) -> str:
        """See :class:`Engine`. Must be cheap: a run answered by the cache asks for it too."""

    @abstractmethod
    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """See :class:`Engine`."""


def ask(engine: Engine, lines: Sequence[str], source: str, target: str) -> list[str]:
    """Return one answer a line, each on one line, an empty one where the engine has none.

    Raises:
        DataError: if the engine gave another number of answers.
    """
    answers = [" ".join(answer.split()) for answer in engine.translate(lines, source, target)]
    if len(answers) != len(lines):
        raise DataError(
            f"{engine.name} gave {len(answers)} answers to {len(lines)} texts",
            hint="an engine must give one line for every line; see what it does with a single one",
        )
    return answers


def one_line_each(texts: Sequence[str]) -> list[str]:
    """Return the texts with every run of white space as one space.

    Raises:
        DataError: if one is empty, or holds half a surrogate pair, which no encoding can carry to an engine.
    """
    if isinstance(texts, str):
        raise TypeError("texts must be a list of strings, not one string")
    lines = [" ".join(text.split()) for text in texts]
    if "" in lines:
        raise DataError(
            f"text {lines.index('') + 1} of {len(lines)} is empty",
            hint="leave empty texts out; they have no translation",
        )
    for place, line in enumerate(lines, start=1):
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"text {place} of {len(lines)} holds half a character (U+{ord(line[error.start]):04X})",
                hint="it was cut or decoded wrongly; save its source as clean UTF-8",
            ) from error
    return lines


def language_pair(source: str, target: str) -> tuple[str, str]:
    """Normalise the two codes; that they are the same is a :class:`ConfigError`."""
    pair = normalise(source), normalise(target)
    if pair[0] == pair[1]:
        raise ConfigError(f"source and target are both {pair[0]!r}", hint="name two different languages")
    return pair


def package_version(name: str, *, extra: str) -> str:
    """The version of an installed package, which is not imported: that would take seconds.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError(
            f"translating with {name} needs the package {name!r}, which is not installed",
            hint=f"pip install 'glotclip[{extra}]'",
        ) from error


def digest(*facts: object) -> str:
    """Twelve hex digits that stand for ``facts``."""
    return hashlib.sha256("\n".join(map(str, facts)).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def folder_digest(folder: Path, pattern: str = "**/*") -> str:
    """Twelve hex digits over names and contents of files; each file is read once and then remembered.

    Raises:
        DataError: if a file cannot be read.
    """
    index = DigestIndex()
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    try:
        return digest(*(f"{path.relative_to(folder)} {index.of(path).hex()}" for path in files))
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read ({error.strerror})", hint="check its permissions"
        ) from error


def pivots(pairs: Collection[Pair], source: str, target: str, *, engine: str, hint: str) -> list[Pair]:
    """The shortest chain of ``pairs`` from ``source`` to ``target``; among equals the first in ``pairs``.

    A code with script or region is met by the plain language where it is not there itself: ``pt-BR`` by ``pt``.

    Raises:
        LanguageError: if there is no chain; it names what can be reached.
    """
    start, goal = available(source, [pair[0] for pair in pairs]), available(target, [pair[1] for pair in pairs])
    chains: dict[str, list[Pair]] = {} if start is None else {start: []}
    waiting = list(chains)
    for code in waiting:  # breadth first; grows while it is walked
        for pair in pairs:
            if pair[0] == code and pair[1] not in chains:
                chains[pair[1]] = [*chains[code], pair]
                waiting.append(pair[1])
    if goal not in chains or not chains[goal]:
        reached = ", ".join(waiting[1:])
        there = f"from {source!r} it reaches {reached}" if waiting else f"it does not know {source!r}"
        raise LanguageError(f"{engine} does not translate from {source!r} into {target!r}: {there}", hint=hint)
    return chains[goal]


def available(code: str, codes: Sequence[str]) -> str | None:
    """``code`` as one of ``codes``: itself, shortened from the right, or None."""
    subtags = code.split("-")
    shortened = ("-".join(subtags[:length]) for length in range(len(subtags), 0, -1))
    return next((short for short in shortened if short in codes), None)


def through(texts: Sequence[str], translate: Callable[[list[str]], Sequence[str]]) -> list[str]:
    """Translate those of the texts that are not empty, as one step of a chain."""
    answers = iter(translate([text for text in texts if text]))
    return [next(answers) if text else "" for text in texts]
