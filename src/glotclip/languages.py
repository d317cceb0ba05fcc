"""Language codes: one spelling for each language, and errors that help.

Codes are BCP-47 (``de``, ``zh-Hant``). Data sets of the field write some languages their own way; the
aliases below are those, and nothing else is guessed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from glotclip.errors import LanguageError, require

# Spellings found in the field's data sets that are not language codes (XTD10 writes jp, Multi30K forks cz).
FIELD_ALIASES = {"jp": "ja", "cz": "cs", "kr": "ko", "gr": "el", "dk": "da"}

# CLDR holds that Norwegian without further word is Bokmål; CLL-CLIP's corpora say ``no``. Both stay as written.


def normalise(code: str) -> str:
    """Return the canonical BCP-47 spelling of ``code`` (``jp`` → ``ja``, ``ZH_hant`` → ``zh-Hant``).

    Raises:
        LanguageError: if the code is malformed or no such language is registered.
    """
    import langcodes

    text = code.strip().replace("_", "-")
    text = FIELD_ALIASES.get(text.lower(), text)
    try:
        valid = langcodes.tag_is_valid(text)
    except ValueError:  # LanguageTagError is one
        valid = False
    if not text or not valid:
        raise LanguageError(
            f"unknown language code {code!r}",
            hint="use a BCP-47 code such as 'de', 'pt-BR' or 'zh-Hant' (a code, not the language's name)",
        )
    return str(langcodes.standardize_tag(text))


def normalise_all(codes: str | Iterable[str]) -> list[str]:
    """Normalise several codes, keeping their order; a code given twice is an error.

    A single text is one code, or several with commas or spaces between them, as on the command line.
    """
    seen: list[str] = []
    for code in codes.replace(",", " ").split() if isinstance(codes, str) else codes:
        normal = normalise(code)
        if normal in seen:
            raise LanguageError(f"language {normal!r} is given twice", hint="name each language once")
        seen.append(normal)
    return seen


def resolve(code: str, available: Iterable[str]) -> str | None:
    """Return the best of ``available`` for a wanted code, by CLDR's likely subtags; ``None`` if none fits.

    ``zh`` is served by ``zh-CN``, ``de-AT`` by ``de``; another script (``zh-Hant``) serves nobody.
    """
    import langcodes

    wanted, have = normalise(code), list(available)
    if wanted in have:
        return wanted
    full = langcodes.Language.get(wanted).maximize()
    likely = {each: langcodes.Language.get(each).maximize() for each in have}
    near = [each for each, tag in likely.items() if (tag.language, tag.script) == (full.language, full.script)]
    return min(near, key=lambda each: (likely[each].territory != full.territory, len(each)), default=None)


def check_installed(code: str, installed: Iterable[str]) -> str:
    """Return the normalised code if it is installed, else raise an error that names the installed ones."""
    normal = normalise(code)
    have = list(installed)
    if normal in have:
        return normal
    close = difflib.get_close_matches(normal, have, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    raise LanguageError(
        f"language {normal!r} is not installed",
        hint=f"{guess}installed: {', '.join(have) or 'none'}; add one with `glotclip extend … --lang {normal}`",
    )


def detect(texts: Sequence[str], candidates: Sequence[str]) -> list[str]:
    """Guess the language of each text among ``candidates``; with a single candidate there is nothing to guess.

    Guesses on one or two words are weak where candidates share a script: say the language where you know it.

    Raises:
        MissingExtraError: if py3langid is not installed.
    """
    if len(candidates) == 1:
        return [candidates[0]] * len(texts)
    langid: Any = require("py3langid", extra="search", purpose="guessing a text's language")
    by_primary: dict[str, str] = {}
    for code in candidates:
        by_primary.setdefault(code.split("-")[0], code)
    guesses = []
    for text in texts:
        ranked = [by_primary[label] for label, _ in langid.rank(text) if label in by_primary]
        guesses.append(ranked[0] if ranked else candidates[0])
    return guesses
