"""What the embedded dataset is made of: emoji, their splits, their names in about 160 languages.

A concept is a fully-qualified emoji that is no flag and has no skin tone; its id is its code points in hex.
Concepts, splits and names are data files made by ``tools/make_emoji_names.py``, so that figures compare whatever
versions of packages are installed. Names come from two sources:

- ``emoji``: the Python package of that name, for its 14 languages; CLDR for all others;
- ``cldr``: Unicode's CLDR, where native speakers name emoji, for all languages.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from glotclip.errors import LanguageError
from glotclip.languages import normalise

Names = Literal["emoji", "cldr"]
LICENCES = {"emoji": "emoji package: BSD-3-Clause, its names from CLDR: Unicode License v3",
            "cldr": "CLDR: Unicode License v3"}  # fmt: skip
_CONCEPTS = Path(__file__).with_name("emoji_concepts.tsv")
_NAMES = Path(__file__).with_name("emoji_names.zip")
# Latin American Spanish shares one locale in CLDR's parent table; so does English outside the United States.
_LATIN_AMERICA = frozenset(
    "AR BO BR BZ CL CO CR CU DO EC GT HN MX NI PA PE PR PY SV US UY VE".split()  # noqa: SIM905 -- easier to read
)


class EmojiNames(NamedTuple):
    """What one concept is called in one language: its name, and (in English) words it is looked up by."""

    name: str
    keywords: tuple[str, ...] = ()


def concepts() -> dict[str, str]:
    """Return the 1,644 concepts in a fixed order: id → split."""
    return _all_concepts()


@cache
def _all_concepts() -> dict[str, str]:
    lines = _CONCEPTS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))


def sign(concept: str) -> str:
    """Return the emoji of a concept id (``1f600`` → 😀)."""
    return "".join(chr(int(code, 16)) for code in concept.split("-"))


def languages(source: Names = "emoji") -> list[str]:
    """Return the codes that have names."""
    of_package, of_cldr = _locales()["emoji"], _locales()["cldr"]
    return sorted(of_cldr) if source == "cldr" else [*of_package, *sorted(of_cldr.keys() - of_package.keys())]


def coverage(langs: Iterable[str], source: Names = "emoji") -> dict[str, float]:
    """Return the share of the concepts that have a name, for each language (0 for an unknown one)."""
    return {lang: len(_texts(normalise(lang), source)) / len(_all_concepts()) for lang in langs}


def texts(lang: str, source: Names = "emoji") -> dict[str, EmojiNames]:
    """Return name and keywords of every concept that has a name in ``lang``, in the order of the concepts.

    English keywords include the short names chat programs use (``+1``, ``tada``).

    Raises:
        LanguageError: if no concept has a name in this language.
    """
    found = _texts(normalise(lang), source)
    if not found:
        raise LanguageError(
            f"there are no emoji names in {normalise(lang)!r}",
            hint=f"languages with names: {', '.join(languages(source))}",
        )
    return {concept: found[concept] for concept in concepts() if concept in found}


def inheritance(lang: str) -> list[str]:
    """Return the locales to look in, the nearest first (``de-AT`` → ``de-AT``, ``de``).

    A language in another script than its usual one does not inherit from the usual one: ``zh-TW`` looks in
    ``zh-Hant``, never in ``zh``, and ``sr-Latn`` not in ``sr``.
    """
    import langcodes

    code = normalise(lang)
    tag = langcodes.Language.get(code)
    language = tag.language or "und"
    script = langcodes.Language.get(code).maximize().script
    usual = langcodes.Language.get(language).maximize().script
    stem = language if script == usual else f"{language}-{script}"
    chain = [code]
    if tag.territory:
        chain.append(f"{stem}-{tag.territory}")
        if stem == "en" and tag.territory != "US":
            chain.append("en-001")
        if stem == "es" and tag.territory in _LATIN_AMERICA:
            chain.append("es-419")
    chain.append(stem)
    if script == usual and script:
        chain.append(f"{language}-{script}")
    if language in ("nb", "nn"):
        chain.append("no")
    return list(dict.fromkeys(chain))


@cache
def _texts(code: str, source: Names) -> dict[str, EmojiNames]:
    """Return the names in a language, or nothing where it has none."""
    chain = inheritance(code)
    if source == "emoji" and (nearest := next((each for each in chain if each in _locales()["emoji"]), None)):
        return _read(f"emoji/{nearest}")
    merged: dict[str, EmojiNames] = {}
    for locale in reversed(chain):  # the nearest one's names come last, over the others'
        if locale in _locales()["cldr"]:
            merged |= _read(f"cldr/{locale}")
    return merged


@cache
def _locales() -> dict[str, dict[str, None]]:
    """Return the languages of each source."""
    found: dict[str, dict[str, None]] = {"emoji": {}, "cldr": {}}
    with zipfile.ZipFile(_NAMES) as packed:
        for member in packed.namelist():
            source, _, lang = member.partition("/")
            found[source][lang] = None
    return found


def _read(member: str) -> dict[str, EmojiNames]:
    """Return what one source calls the concepts in one language: line k of the file names the k-th."""
    with zipfile.ZipFile(_NAMES) as packed:
        lines = packed.read(member).decode("utf-8").split("\n")
    found = {}
    for concept, line in zip(_all_concepts(), lines, strict=True):
        name, _, keywords = line.partition("\t")
        if name:
            found[concept] = EmojiNames(name, tuple(keywords.split("|")) if keywords else ())
    return found
