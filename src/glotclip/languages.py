"""Language codes: one spelling for each language, the nearest one that there is, and errors that help.

Codes are BCP-47 (``de``, ``zh-Hant``). Data sets of the field write some languages their own way; the
aliases below are those, and nothing else is guessed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import lru_cache

from glotclip.errors import GlotclipWarning, LanguageError, nearest

# Spellings found in the field's data sets that are not language codes (XTD10 writes jp, Multi30K forks cz).
FIELD_ALIASES = {"jp": "ja", "cz": "cs", "kr": "ko", "gr": "el", "dk": "da"}

# CLDR holds that Norwegian without further word is Bokmål; CLL-CLIP's corpora say ``no``. Both stay as written.
_BOKMAL = frozenset({"no", "nb"})
_NORWEGIAN = frozenset({"no", "nb", "nn"})
# ``sh`` was one code for what has four now; its texts are in Latin letters as a rule, hence the order.
_SERBO_CROATIAN = ("sr-Latn", "hr", "bs", "sr")
# One language in two scripts: only Serbian, whose readers read both, and Chinese, whose scripts share most
# characters. Uzbek, Panjabi or Japanese in other letters is nothing that a pack can read.
_CHINESE_SCRIPTS = frozenset({"Hans", "Hant", "Hani"})


class LanguageFallbackWarning(GlotclipWarning):
    """A language that is not there was asked for, and its nearest relative was taken."""


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


def resolve(code: str, available: Iterable[str], *, near: bool = False) -> str | None:
    """Return the code among ``available`` that serves ``code`` best, or None; never another language.

    The same language is found under its other codes (``iw`` and ``he``, ``tl`` and ``fil``), with or without region
    (``de-AT`` → ``de``, ``pt`` → ``pt-BR``), by CLDR's likely subtags and the distances of its language matching
    (LDML part 1, "Language Matching"). Chinese and Serbian are found in their other script if there is nothing
    nearer, and so are Norwegian's two written forms.

    Args:
        code: the code wanted, in any spelling.
        available: the codes there are. What is returned is one of them, as it is written there; of several equally
            near ones the first.
        near: leave out what differs by more than region or spelling: another script, or another written form. For
            what cannot be undone.

    Raises:
        LanguageError: if ``code`` is malformed or no such language is registered.
    """
    wanted = normalise(code)
    have = {each: normalise(each) for each in available}
    if exact := next((each for each, normal in have.items() if normal == wanted), None):
        return exact
    if not near and code.strip().lower() in ("sh", "hbs"):
        return next((each for form in _SERBO_CROATIAN for each, normal in have.items() if normal == form), None)
    costs = {each: cost for each, normal in have.items() if (cost := _distance(wanted, normal, near)) is not None}
    return min(costs, key=costs.__getitem__, default=None)


@lru_cache(maxsize=4096)
def _distance(wanted: str, have: str, near: bool) -> int | None:
    """How far one code is from another of the same language; None for another language."""
    from langcodes import Language, standardize_tag, tag_distance

    first, second = (Language.get(standardize_tag(code, macro=True)) for code in (wanted, have))
    if first.language in (None, "und", "mul", "mis", "zxx") or second.language is None:
        return None
    languages = {first.language, second.language}
    written = {first.maximize().script, second.maximize().script}
    distance = int(tag_distance(first, second))
    if len(languages) > 1 and not languages <= (_BOKMAL if near else _NORWEGIAN):
        return None
    if len(written) > 1 and (near or not (written <= _CHINESE_SCRIPTS or languages == {"sr"})):
        return None
    return distance


def check_installed(code: str, installed: Iterable[str], *, near: bool = False) -> str:
    """Return the installed code that serves ``code`` (:func:`resolve`); one that is not the same is warned about.

    Args:
        code: the language wanted.
        installed: the codes there are.
        near: as for :func:`resolve`.

    Raises:
        LanguageError: if no installed language serves; the error names those that there are.
    """
    normal = normalise(code)
    have = list(installed)
    found = resolve(code, have, near=near)
    if found is not None:
        if normalise(found) != normal:
            said = f"there is no {normal!r} here; {found!r} is used instead{_what_differs(normal, normalise(found))}"
            warnings.warn(said, LanguageFallbackWarning, stacklevel=1)  # one place: Python says each message once
        return found
    close = resolve(code, have) or nearest(normal, have)
    guess = f"did you mean {close!r}? " if close else ""
    raise LanguageError(
        f"language {normal!r} is not installed",
        hint=f"{guess}installed: {', '.join(have) or 'none'}; add one with `glotclip extend … --lang {normal}`",
    )


def _what_differs(wanted: str, found: str) -> str:
    """What a reader should know of a fallback beyond the codes: another script, or another written form."""
    from langcodes import Language

    first, second = Language.get(wanted).maximize(), Language.get(found).maximize()
    if first.script != second.script:
        return f", which is written in another script ({second.script}, not {first.script})"
    if "nn" in (first.language, second.language) and first.language != second.language:
        return ", the other written form of Norwegian"
    return ""
