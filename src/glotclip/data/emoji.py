"""The embedded dataset: emoji, their pictures by several artists, their names in many languages.

A concept is a fully-qualified emoji that is no flag and has no skin tone; its id is its code points in hex.
Which concepts there are, and the split each belongs to, is fixed by ``emoji_concepts.tsv``, so that figures
compare whatever versions of the picture and name packages are installed.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from glotclip.data import cldr as cldr_names
from glotclip.data import pictures
from glotclip.data.benchmark import Benchmark
from glotclip.data.cldr import EmojiNames
from glotclip.data.schema import Caption, Corpus, Row, SkippedItem, known_split
from glotclip.errors import DataError, LanguageError, require
from glotclip.languages import normalise, normalise_all

TRAINING_VENDORS = ("twemoji", "openmoji")
HELD_OUT = "google"
NAMES_LICENCE = "emoji package: BSD-3-Clause, its names from CLDR: Unicode License v3"
_CONCEPTS = Path(__file__).with_name("emoji_concepts.tsv")
_SHARES = (0.7, 0.1)  # train, validation; the rest is test
Progress = Callable[[int, int], None]


@cache
def concepts() -> dict[str, str]:
    """Return the 1,644 concepts in a fixed order: id → split."""
    lines = _CONCEPTS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))


def sign(concept: str) -> str:
    """Return the emoji of a concept id (``1f600`` → 😀)."""
    return "".join(chr(int(part, 16)) for part in concept.split("-"))


def languages(cldr: Path | None = None) -> list[str]:
    """Return the codes that have names: CLDR's locales where its folder is found, else the emoji package's."""
    folder = cldr_names.find(cldr)
    return cldr_names.locales(folder) if folder else list(_emoji_package().LANGUAGES)


def coverage(langs: Iterable[str], cldr: Path | None = None) -> dict[str, float]:
    """Return the share of the concepts that have a name, for each language (0 for an unknown one)."""
    return {lang: len(_all_texts(lang, cldr)) / len(concepts()) for lang in langs}


def texts(lang: str, cldr: Path | None = None) -> dict[str, EmojiNames]:
    """Return name and keywords of every concept that has a name in ``lang``, in the order of the concepts.

    English keywords include the short names chat programs use (``+1``, ``tada``), where the emoji package is
    installed; without CLDR they are the only keywords there are.

    Raises:
        LanguageError: if no concept has a name in this language; the hint names what would bring it.
    """
    found = _all_texts(lang, cldr)
    if not found:
        have = languages(cldr)
        more = "" if cldr_names.find(cldr) else "; `glotclip data get cldr` brings about 100 more"
        raise LanguageError(
            f"there are no emoji names in {normalise(lang)!r}", hint=f"languages with names: {', '.join(have)}{more}"
        )
    return found


def load(
    langs: Iterable[str],
    *,
    cldr: Path | None = None,
    vendors: Sequence[str] = TRAINING_VENDORS,
    pictures_folder: Path | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Return one row per concept and language: its name, its English name, a picture, its split.

    The picture's artist alternates over concepts and languages, so that each language meets all of them.

    Args:
        langs: BCP-47 codes.
        cldr: the folder of CLDR's annotations; see :func:`glotclip.data.cldr.find` for ``None``.
        vendors: whose pictures.
        pictures_folder: where further vendors' folders lie; see :func:`glotclip.data.pictures.vendor_folder`.
        progress: called with (done, total) while pictures are drawn, which happens once.

    Raises:
        LanguageError: if a language has no names.
        DataError: if a vendor is not found.
        MissingExtraError: if the extra ``demo`` is needed and not installed.
    """
    codes = normalise_all(langs)
    if not vendors:
        raise DataError("no vendor of pictures is named", hint=f"use {', '.join(TRAINING_VENDORS)}")
    english = _all_texts("en", cldr)
    found = [pictures.find(vendor, concepts(), folder=pictures_folder, progress=progress) for vendor in vendors]
    rows: list[Row] = []
    bad: list[SkippedItem] = []
    for lang_place, code in enumerate(codes):
        named = texts(code, cldr)
        for place, (concept, split) in enumerate(concepts().items()):
            if concept not in named:
                bad.append(SkippedItem(f"emoji {concept}", None, f"it has no name in {code}"))
                continue
            first = (place + lang_place) % len(found)
            image = next((of[concept] for of in found[first:] + found[:first] if concept in of), None)
            if image is None:
                bad.append(SkippedItem(f"emoji {concept}", None, f"no picture by {', '.join(vendors)}"))
                continue
            name = english[concept].name if concept in english and code != "en" else None
            rows.append(Row(named[concept].name, code, image, english=name, split=split, group=concept))
    return Corpus("emoji", tuple(rows), tuple(bad), licence=licence(vendors, cldr))


def benchmark(
    langs: Iterable[str],
    *,
    vendor: str = "auto",
    split: str | None = None,
    cldr: Path | None = None,
    pictures_folder: Path | None = None,
    progress: Progress | None = None,
) -> Benchmark:
    """Return the retrieval task: gallery = all concepts by one artist, queries = their names.

    Args:
        langs: BCP-47 codes.
        vendor: whose pictures. ``auto``: Google's, which no model here is trained on, if they are found, else
            twemoji's, which is the easier test; ``protocol`` says which.
        split: keep only the queries of this split; the gallery stays whole.
        cldr: as for :func:`load`.
        pictures_folder: as for :func:`load`.
        progress: as for :func:`load`.

    Raises:
        LanguageError, DataError, MissingExtraError: as for :func:`load`.
    """
    codes = normalise_all(langs)
    if vendor == "auto":
        vendor = HELD_OUT if pictures.vendor_folder(HELD_OUT, pictures_folder) else "twemoji"
    found = pictures.find(vendor, concepts(), folder=pictures_folder, progress=progress)
    bad = [SkippedItem(f"emoji {name}", None, f"no picture by {vendor}") for name in concepts() if name not in found]
    gallery = [concept for concept in concepts() if concept in found]
    splits = np.array([concepts()[concept] for concept in gallery])
    wanted = None if split is None else known_split(split)
    captions = {
        code: [
            Caption(named[concept].name, place)
            for place, concept in enumerate(gallery)
            if concept in named and wanted in (None, concepts()[concept])
        ]
        for code, named in ((code, texts(code, cldr)) for code in codes)
    }
    subsets = {"seen": splits == "train", "unseen": splits == "test", "validation": splits == "validation"}
    return Benchmark(
        name=f"emoji-{vendor}",
        images=tuple(found[concept] for concept in gallery),
        captions=captions,
        subsets=subsets,
        protocol=_protocol(vendor, len(gallery), wanted, cldr),
        skipped=tuple(bad),
        licence=licence((vendor,), cldr),
    )


def licence(vendors: Iterable[str], cldr: Path | None = None) -> str:
    """Return the terms of the sources used, in one line."""
    terms = [cldr_names.LICENCE if cldr_names.find(cldr) else NAMES_LICENCE]
    terms += [pictures.LICENCES.get(vendor, f"{vendor}: see its package") for vendor in vendors]
    return "; ".join(terms)


def make_concepts(google: Path) -> list[tuple[str, str]]:
    """Choose the concepts and split them; ``emoji_concepts.tsv`` is this function's output, kept.

    A concept is a fully-qualified emoji without skin tone, no country's or region's flag, with an English name
    and a picture by twemoji, OpenMoji and Google. Split 70/10/20 after a shuffle with seed 0.

    Args:
        google: npm's ``emoji-datasource-google``, unpacked.
    """
    package = _emoji_package()
    full = package.STATUS["fully_qualified"]
    named = [text for text, facts in package.EMOJI_DATA.items() if facts["status"] == full and facts.get("en")]
    ids = [pictures.code_points(text) for text in named if not _is_tone_or_flag(text)]
    for vendor in (*TRAINING_VENDORS, HELD_OUT):
        drawn = pictures.sources(vendor, ids, folder=google if vendor == HELD_OUT else None)
        ids = [concept for concept in ids if concept in drawn]
    ids.sort()
    order = ids.copy()
    random.Random(0).shuffle(order)
    train, validation = (int(len(ids) * share) for share in _SHARES)
    split = dict.fromkeys(order[:train], "train") | dict.fromkeys(order[train : train + validation], "validation")
    return [(concept, split.get(concept, "test")) for concept in ids]


def _is_tone_or_flag(text: str) -> bool:
    """Tell skin tones (U+1F3FB–F), regional indicators (two make a country) and tags (a region's flag)."""
    return any(
        0x1F3FB <= ord(letter) <= 0x1F3FF or 0x1F1E6 <= ord(letter) <= 0x1F1FF or 0xE0020 <= ord(letter) <= 0xE007F
        for letter in text
    )


def _all_texts(lang: str, cldr: Path | None) -> dict[str, EmojiNames]:
    """Return the names in ``lang``, or nothing where the language has none."""
    folder = cldr_names.find(cldr)
    code = normalise(lang)
    if folder is None:
        found = {concept: _package_names(concept, code) for concept in concepts()}
        return {concept: names for concept, names in found.items() if names is not None}
    from_cldr = cldr_names.names(folder, code)
    keys = {concept: sign(concept).replace(cldr_names.VARIATION, "") for concept in concepts()}
    named = {concept: from_cldr[key] for concept, key in keys.items() if key in from_cldr}
    return {concept: _with_aliases(concept, names) for concept, names in named.items()} if code == "en" else named


def _package_names(concept: str, code: str) -> EmojiNames | None:
    """Return what the emoji package calls a concept, for its languages and their regional forms."""
    language = next((part for part in cldr_names.inheritance(code) if part in _emoji_package().LANGUAGES), None)
    raw = _emoji_data().get(sign(concept), {}).get(language) if language else None
    if raw is None:
        return None
    return _with_aliases(concept, EmojiNames(_spoken(raw))) if language == "en" else EmojiNames(_spoken(raw))


def _with_aliases(concept: str, names: EmojiNames) -> EmojiNames:
    """Add the emoji package's short names to English keywords, where the package is installed."""
    aliases = [_spoken(alias) for alias in _emoji_data().get(sign(concept), {}).get("alias", [])]
    return EmojiNames(names.name, tuple(dict.fromkeys((*names.keywords, *aliases))))


def _spoken(short: str) -> str:
    """Return a short name as words (``:thumbs_up:`` → ``thumbs up``)."""
    return " ".join(unicodedata.normalize("NFC", short).strip(":").replace("_", " ").split())


def _emoji_package() -> Any:
    return require("emoji", extra="demo", purpose="Emoji names without CLDR")


@cache
def _emoji_data() -> dict[str, dict[str, Any]]:
    """Return the emoji package's table with all its languages, or nothing if it is not installed."""
    try:
        package = _emoji_package()
    except ImportError:
        return {}
    package.config.load_language()
    return dict(package.EMOJI_DATA)


def _protocol(vendor: str, size: int, split: str | None, cldr: Path | None) -> str:
    source = "CLDR" if cldr_names.find(cldr) else "the emoji package"
    trained = "never trained on" if vendor not in TRAINING_VENDORS else "whose pictures are also trained on"
    return (
        f"gallery: {size} emoji by {vendor}, an artist {trained}; queries: the names of "
        f"{'all concepts' if split is None else f'the {split} concepts'} from {source}; "
        "subsets by the concept's split: seen = train, unseen = test"
    )
