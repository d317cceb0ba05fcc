"""An engine as one writes it on the command line: ``apertium``, ``ctranslate2:DIR``, ``files:SRC:TGT``, …

Several in one line share the languages: ``de=ctranslate2:opus-de or fi,sv=ctranslate2:nllb or apertium``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path

from glotclip.errors import ConfigError
from glotclip.languages import normalise_all
from glotclip.translate.cache import FirstFit, Translator
from glotclip.translate.engine import BatchEngine

#: Name → how it is written, for messages and the command's help.
FORMS = {
    "apertium": "apertium",
    "ctranslate2": "ctranslate2:DIR",
    "transformers": "transformers:DIR",
    "files": "files:SOURCE:TARGET",
    "command": "command:PROGRAM ARGUMENTS",
}

_OR = re.compile(r"\s+or\s+")
_FOR = re.compile(r"([\w-]+(?:\s*,\s*[\w-]+)*)\s*=\s*(.*)", re.DOTALL)


def open_translator(spec: str, cache: Path | None = None) -> Translator:
    """Open what ``spec`` names, behind the disk cache: an engine, or several of the form ``CODES=ENGINE or ENGINE``.

    A pair of languages is translated by the first engine that is meant for one of the two (without codes: for all)
    and knows the pair. ``or`` stands between spaces, so a folder's name or a command cannot hold it so.

    Args:
        spec: see above and :data:`FORMS`.
        cache: the folder of the cache's file; by default glotclip's own.

    Raises:
        ConfigError: as :func:`open_engine`.
        LanguageError: for a malformed code.
    """
    choices = []
    for part in _OR.split(spec.strip()):
        meant = _FOR.fullmatch(part)
        codes = normalise_all(meant[1].split(",")) if meant else []
        choices.append((codes, Translator(open_engine(meant[2] if meant else part), cache)))
    if len(choices) == 1 and not choices[0][0]:
        return choices[0][1]
    return FirstFit(choices)


def open_engine(spec: str) -> BatchEngine:
    """Open the engine that ``spec`` names, in one of :data:`FORMS`.

    Raises:
        ConfigError: if there is no such engine, or what it needs is not said.
        GlotclipError: what opening it raises.
    """
    name, _, rest = spec.partition(":")
    if name not in FORMS:
        close = difflib.get_close_matches(name, FORMS, n=1)
        guess = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"unknown translation engine {name!r}", hint=f"{guess}known: {', '.join(FORMS.values())}")
    if bool(rest) != (":" in FORMS[name]):
        raise ConfigError(f"cannot read the engine {spec!r}", hint=f"write {FORMS[name]}")
    return _OPENERS[name](rest)


def _apertium(_: str) -> BatchEngine:
    from glotclip.translate.apertium import ApertiumEngine

    return ApertiumEngine()


def _ctranslate2(folder: str) -> BatchEngine:
    from glotclip.translate.ct2 import CTranslate2Engine

    return CTranslate2Engine(Path(folder))


def _transformers(folder: str) -> BatchEngine:
    from glotclip.translate.hf import TransformersEngine

    return TransformersEngine(Path(folder))


def _files(paths: str) -> BatchEngine:
    from glotclip.translate.lines import FileEngine

    parts = paths.split(":")
    if len(parts) != 2 or not all(parts):
        raise ConfigError(f"cannot read the engine 'files:{paths}'", hint=f"write {FORMS['files']}")
    return FileEngine(Path(parts[0]), Path(parts[1]))


def _command(command: str) -> BatchEngine:
    from glotclip.translate.lines import CommandEngine

    return CommandEngine(command)


_OPENERS: dict[str, Callable[[str], BatchEngine]] = {
    "apertium": _apertium,
    "ctranslate2": _ctranslate2,
    "transformers": _transformers,
    "files": _files,
    "command": _command,
}
