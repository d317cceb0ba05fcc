"""Emoji names and keywords by native speakers: the annotations of Unicode's CLDR, read where they lie.

Two layouts are known: npm's JSON (``cldr-annotations-full`` beside ``cldr-annotations-derived-full``) and
Unicode's XML (``annotations`` beside ``annotationsDerived``, as Debian's ``unicode-cldr-core`` puts it). The
format is LDML part 2, "Annotations": ``tts`` is the name read aloud, the other entry holds the keywords.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from glotclip.errors import DataError
from glotclip.languages import normalise
from glotclip.storage import cache_root, read_json

DEBIAN = Path("/usr/share/unicode/cldr/common")
LICENCE = "CLDR: Unicode License v3"
VARIATION = "\ufe0f"

# Where npm and its archives put the two halves, seen from the folder that a person would name.
_HALVES = ("annotations", "annotationsDerived")
_PACKAGES = ("cldr-annotations-full", "cldr-annotations-derived-full")
# Latin American Spanish shares one locale in CLDR's parent table; so does English outside the United States.
_LATIN_AMERICA = frozenset(
    ["AR", "BO", "BR", "BZ", "CL", "CO", "CR", "CU", "DO", "EC", "GT"]  # noqa: RUF005 -- two lines read better
    + ["HN", "MX", "NI", "PA", "PE", "PR", "PY", "SV", "US", "UY", "VE"]
)
_INHERIT = "↑↑↑"  # CLDR's sign for "as in the parent locale"


class EmojiNames(NamedTuple):
    """What one concept is called in one language: its name, and words it is looked up by."""

    name: str
    keywords: tuple[str, ...] = ()


def find(folder: Path | None = None) -> Path | None:
    """Return the folder with CLDR's annotations, or ``None``.

    Looks at ``folder``, or else at ``$GLOTCLIP_CLDR``, the fetched data in glotclip's cache, and Debian's place.

    Raises:
        DataError: if ``folder`` or ``$GLOTCLIP_CLDR`` is given and holds no annotations.
    """
    named = folder or (Path(os.environ["GLOTCLIP_CLDR"]) if os.environ.get("GLOTCLIP_CLDR") else None)
    if named is not None:
        if not _roots(named):
            raise DataError(
                f"{named} holds no CLDR annotations",
                hint="name the folder that holds `annotations` and `annotationsDerived`, or npm's "
                "`cldr-annotations-full` and `cldr-annotations-derived-full`",
            )
        return named
    return next((place for place in (cache_root() / "data", DEBIAN) if _roots(place)), None)


def locales(folder: Path) -> list[str]:
    """Return the codes of all locales in ``folder``, sorted, without the root locale, which names nothing."""
    found = set()
    for root in _roots(folder):
        for entry in root.iterdir():
            name = entry.stem if entry.suffix == ".xml" else entry.name
            if name not in ("root", "und") and (entry.suffix == ".xml" or entry.is_dir()):
                found.add(name.replace("_", "-"))
    return sorted(found)


def names(folder: Path, lang: str) -> dict[str, EmojiNames]:
    """Return name and keywords of every emoji that ``lang`` or a locale it inherits from names.

    The keys are emoji without U+FE0F, as CLDR writes them. A locale without data gives an empty mapping.

    Raises:
        DataError: if a file of the locale is damaged.
    """
    merged: dict[str, EmojiNames] = {}
    for locale in reversed(inheritance(lang)):
        for root in _roots(folder):
            merged.update(_read_locale(root, locale))
    return merged


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


def _roots(folder: Path) -> list[Path]:
    """Return the existing annotation folders reached from ``folder``; the derived ones come second."""
    roots = []
    for half, package in zip(_HALVES, _PACKAGES, strict=True):
        places = [folder / half, folder / "package" / half, folder / "common" / half]
        parents = [folder, folder / "node_modules"] + ([folder.parent] if folder.name == _PACKAGES[0] else [])
        for parent in parents:
            places += [parent / package / half, parent / package / "package" / half]
        found = next((place for place in places if place.is_dir()), None)
        if found is None and half == "annotations":
            return []
        if found is not None:
            roots.append(found)
    return roots


@lru_cache(maxsize=24)
def _read_locale(root: Path, locale: str) -> dict[str, EmojiNames]:
    """Read one half of one locale; absent files and absent keys give nothing."""
    as_json = root / locale / "annotations.json"
    if as_json.is_file():
        return dict(_entries(_from_json(as_json, root.name)))
    as_xml = root / f"{locale.replace('-', '_')}.xml"
    if as_xml.is_file():
        return dict(_entries(_from_xml(as_xml)))
    return {}


def _from_json(path: Path, half: str) -> Iterator[tuple[str, list[str], list[str]]]:
    content = read_json(path)
    try:
        for sign, entry in content[half].get("annotations", {}).items():
            yield sign, entry.get("tts", []), entry.get("default", [])
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not laid out as CLDR's annotations", hint="fetch the package anew") from error


def _from_xml(path: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    try:
        # The DTD that the file names is not fetched, and expat itself refuses entities that grow without bound.
        tree = ElementTree.parse(path)
    except ElementTree.ParseError as error:
        raise DataError(f"{path} is not valid XML: {error}", hint="install unicode-cldr-core anew") from error
    spoken: dict[str, str] = {}
    keywords: dict[str, str] = {}
    for element in tree.iter("annotation"):
        (spoken if element.get("type") == "tts" else keywords)[element.get("cp", "")] = element.text or ""
    for sign, name in spoken.items():
        yield sign, [name], keywords.get(sign, "").split("|")


def _entries(found: Iterable[tuple[str, list[str], list[str]]]) -> Iterator[tuple[str, EmojiNames]]:
    for sign, spoken, keywords in found:
        name = _clean(spoken[0]) if spoken else ""
        if name and name != _INHERIT:
            words = tuple(dict.fromkeys(word for word in map(_clean, keywords) if word and word != _INHERIT))
            yield sign.replace(VARIATION, ""), EmojiNames(name, words)


def _clean(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
