"""Translators: an engine behind the disk cache, or several for different languages; and how they are named.

An engine is written as on the command line: ``apertium``, ``ctranslate2:DIR``, ``files:SRC:TGT``, … Several in one
line share the languages: ``de=ctranslate2:opus-de or fi,sv=ctranslate2:nllb or apertium``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glotclip.config import check_names
from glotclip.errors import ConfigError, DataError, LanguageError
from glotclip.languages import normalise_all
from glotclip.storage import cache_root
from glotclip.translate.apertium import ApertiumEngine
from glotclip.translate.cache import keys_of, open_store
from glotclip.translate.ct2 import CTranslate2Engine
from glotclip.translate.engine import (
    BatchEngine,
    Engine,
    UnansweredWarning,
    ask,
    available,
    digest,
    language_pair,
    one_line_each,
)
from glotclip.translate.hf import TransformersEngine
from glotclip.translate.lines import CommandEngine, FileEngine

Progress = Callable[[int, int], None]

#: Name → how it is written, and what opens it. The one place where an engine is registered.
ENGINES: Mapping[str, tuple[str, Callable[[str], BatchEngine]]] = {
    "apertium": ("apertium", lambda _: ApertiumEngine()),
    "ctranslate2": ("ctranslate2:DIR", lambda folder: CTranslate2Engine(Path(folder))),
    "transformers": ("transformers:DIR", lambda folder: TransformersEngine(Path(folder))),
    "files": ("files:SOURCE:TARGET", FileEngine.named),
    "command": ("command:PROGRAM ARGUMENTS", CommandEngine),
}
_OR = re.compile(r"\s+or\s+")
_FOR = re.compile(r"([\w-]+(?:\s*,\s*[\w-]+)*)\s*=\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Translation:
    """What became of a list of texts.

    Attributes:
        texts: one translation a text, in order, none empty.
        cached: how many of them came out of the cache.
        unanswered: places of the texts that the engine has no answer to; they stand untranslated in ``texts``.
    """

    texts: list[str]
    cached: int
    unanswered: tuple[int, ...]


class Translator:
    """An engine behind the disk cache; itself an :class:`~glotclip.translate.engine.Engine`.

    Args:
        engine: translates.
        cache: the folder of the cache's file; by default glotclip's own. Two texts that differ in white space only
            are one text.
        limit: the share of texts (0 to 1) that may stay without an answer; more is an error.
    """

    def __init__(self, engine: Engine, cache: Path | None = None, *, limit: float = 0.05) -> None:
        self.engine, self.limit = engine, limit
        self.cache = cache or cache_root()
        self._in_memory: dict[bytes, str] = {}  # what the disk would not take

    @property
    def name(self) -> str:
        """The engine's."""
        return self.engine.name

    @property
    def version(self) -> str:
        """The engine's."""
        return self.engine.version

    @property
    def files(self) -> tuple[Path, ...]:
        """The files the engine reads translations from."""
        return tuple(getattr(self.engine, "files", ()))

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate; see :meth:`run`. Unanswered texts are counted in a warning."""
        result = self.run(texts, source, target)
        if count := len(result.unanswered):
            said = f"{self.name} had no answer to {count} of {len(texts)} texts; they stay as they are"
            warnings.warn(said, UnansweredWarning, stacklevel=2)
        return result.texts

    def run(self, texts: Sequence[str], source: str, target: str, *, progress: Progress | None = None) -> Translation:
        """Translate, going on where an earlier run was ended.

        Args:
            texts: any number of texts.
            source: BCP-47 code of their language.
            target: BCP-47 code of the language to translate into.
            progress: called with (done, total) after every chunk, counting distinct texts.

        Raises:
            DataError: if a text is empty, the engine gave another number of answers, or too few; what was answered
                is in the cache all the same.
            LanguageError: if a code is malformed or the engine does not translate between the two.
            StorageError: if the cache is damaged. One that cannot be written is warned of, and done without.
        """
        lines = one_line_each(texts)
        pair = language_pair(source, target)
        if not lines:
            return Translation([], 0, ())
        if isinstance(self.engine, BatchEngine) and not self.engine.cacheable:
            return self._checked(lines, ask(self.engine, lines, *pair), cached=0)
        keys = keys_of(lines, self.name, self.version, *pair)
        with open_store(self.cache) as store:
            found = self._in_memory | store.get(list(keys.values()))
            answers = {text: found[key] for text, key in keys.items() if key in found}
            cached = sum(line in answers for line in lines)
            missing = [text for text in keys if text not in answers]
            size = getattr(self.engine, "chunk", BatchEngine.chunk)
            for start in range(0, len(missing), size):
                chunk = missing[start : start + size]
                new = dict(zip(chunk, ask(self.engine, chunk, *pair), strict=True))
                by_key = {keys[text]: answer for text, answer in new.items()}
                if not store.put(by_key):
                    self._in_memory |= by_key
                answers |= new
                if progress is not None:
                    progress(len(answers), len(keys))
        return self._checked(lines, [answers[line] for line in lines], cached=cached)

    def _checked(self, lines: Sequence[str], answers: Sequence[str], *, cached: int) -> Translation:
        unanswered = tuple(place for place, answer in enumerate(answers) if not answer)
        if len(unanswered) > max(1, self.limit * len(lines)):
            raise DataError(
                f"{self.name} had no answer to {len(unanswered)} of {len(lines)} texts, first: "
                f"{lines[unanswered[0]]!r} (at most {self.limit:.0%} may be without)",
                hint="check that the engine fits the languages; or leave such texts out",
            )
        return Translation([answer or line for answer, line in zip(answers, lines, strict=True)], cached, unanswered)


class FirstFit(Translator):
    """Several translators in the order of trust: a pair of languages is the first one's that is meant for it.

    Which one that is depends on the languages alone, never on a text, so one engine translates all texts of a
    language. One that is meant for a pair but does not know it passes it on.

    Args:
        choices: translators, each with the languages it is meant for (one side of the pair must be among them; none
            named: every pair). At least one; each keeps its own answers in the cache.
    """

    def __init__(self, choices: Sequence[tuple[Collection[str], Translator]]) -> None:
        self.choices = tuple(choices)

    @property
    def name(self) -> str:
        """Those of all."""
        return " or ".join(translator.name for _, translator in self.choices)

    @property
    def version(self) -> str:
        """Stands for the versions of all."""
        return digest(*(translator.version for _, translator in self.choices))

    @property
    def files(self) -> tuple[Path, ...]:
        """Those of all."""
        return tuple(file for _, translator in self.choices for file in translator.files)

    def run(self, texts: Sequence[str], source: str, target: str, *, progress: Progress | None = None) -> Translation:
        """Translate; see :meth:`Translator.run`.

        Raises:
            LanguageError: if a code is malformed, or none is meant for the pair and knows it.
        """
        pair = language_pair(source, target)
        refusals = []
        for languages, translator in self.choices:
            if languages and not any(available(code, list(languages)) for code in pair):
                continue
            try:
                return translator.run(texts, source, target, progress=progress)
            except LanguageError as error:
                refusals.append(error)
        raise LanguageError(
            "; ".join(error.message for error in refusals) or f"no engine is meant for {pair[0]!r} into {pair[1]!r}",
            hint=refusals[0].hint if refusals else "name one for it: … or CODE=ENGINE",
        )


def translator_of(engine: str | Engine, cache: Path | None = None) -> Translator:
    """An engine, or what :func:`open_translator` opens, behind the disk cache."""
    return open_translator(engine, cache) if isinstance(engine, str) else Translator(engine, cache)


def open_translator(spec: str, cache: Path | None = None) -> Translator:
    """Open what ``spec`` names, behind the disk cache: an engine, or several of the form ``CODES=ENGINE or ENGINE``.

    A pair of languages is translated by the first engine that is meant for one of the two (without codes: for all)
    and knows the pair. ``or`` stands between spaces, so a folder's name or a command cannot hold it so.

    Args:
        spec: see above and :data:`ENGINES`.
        cache: the folder of the cache's file; by default glotclip's own.

    Raises:
        ConfigError: as :func:`open_engine`.
        LanguageError: for a malformed code.
    """
    choices = []
    for one in _OR.split(spec.strip()):
        meant = _FOR.fullmatch(one)
        codes = normalise_all(meant[1].split(",")) if meant else []
        choices.append((codes, Translator(open_engine(meant[2] if meant else one), cache)))
    if len(choices) == 1 and not choices[0][0]:
        return choices[0][1]
    return FirstFit(choices)


def open_engine(spec: str) -> BatchEngine:
    """Open the engine that ``spec`` names, as one of :data:`ENGINES` is written.

    Raises:
        ConfigError: if there is no such engine, or what it needs is not said.
        GlotclipError: what opening it raises.
    """
    name, _, rest = spec.partition(":")
    check_names([name], ENGINES, kind="translation engine")
    form, opened = ENGINES[name]
    if bool(rest) != (":" in form):
        raise ConfigError(f"cannot read the engine {spec!r}", hint=f"write {form}")
    return opened(rest)
