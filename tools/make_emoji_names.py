"""Make the two data files of the dataset ``emoji``: the concepts with their splits, and what they are called.

    npm pack cldr-annotations-full cldr-annotations-derived-full    # unpack each into DIR/<its name>
    python tools/make_emoji_names.py DIR

writes ``src/glotclip/data/emoji_names.zip``. ``--concepts FOLDER`` writes ``emoji_concepts.tsv`` first, which needs
npm's ``emoji-datasource-google`` unpacked in FOLDER; every committed figure depends on that list.

The zip holds a text file for each source and language: ``cldr/de`` has the names that native speakers gave to CLDR
(LDML part 2, "Annotations"), ``emoji/de`` those of the Python package ``emoji``. Line k names the k-th concept: its
name, and for English, after a tab, its keywords separated by ``|``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from glotclip.data import emoji, emoji_images

DATA = Path(emoji.__file__).parent
HALVES = {"cldr-annotations-full": "annotations", "cldr-annotations-derived-full": "annotationsDerived"}
INHERITED = "↑↑↑"  # CLDR's sign for "as in the parent locale"
VARIATION = "\ufe0f"
SHARES = (0.7, 0.1)  # train, validation; the rest is test
EPOCH = (2026, 1, 1, 0, 0, 0)  # of all files, so that the same names give the same bytes


def emoji_package() -> Any:
    """The Python package ``emoji`` with the names of all its languages."""
    import emoji as package

    package.config.load_language()
    return package


def make_concepts() -> list[tuple[str, str]]:
    """Choose the concepts and split them.

    A concept is a fully-qualified emoji without skin tone, no country's or region's flag, with an English name and an
    image by twemoji, OpenMoji and Google. Split 70/10/20 after a shuffle with seed 0.
    """
    package = emoji_package()
    full = package.STATUS["fully_qualified"]
    named = [text for text, facts in package.EMOJI_DATA.items() if facts["status"] == full and facts.get("en")]
    ids = [emoji_images.code_points(text) for text in named if not is_tone_or_flag(text)]
    for vendor in (*emoji_images.TRAINING_VENDORS, emoji_images.HELD_OUT):
        drawn = emoji_images.sources(vendor, ids)
        ids = [concept for concept in ids if concept in drawn]
    ids.sort()
    order = ids.copy()
    random.Random(0).shuffle(order)
    train, validation = (int(len(ids) * share) for share in SHARES)
    split = dict.fromkeys(order[:train], "train") | dict.fromkeys(order[train : train + validation], "validation")
    return [(concept, split.get(concept, "test")) for concept in ids]


def is_tone_or_flag(text: str) -> bool:
    """Tell skin tones (U+1F3FB–F), regional indicators (two make a country) and tags (a region's flag)."""
    return any(
        0x1F3FB <= ord(letter) <= 0x1F3FF or 0x1F1E6 <= ord(letter) <= 0x1F1FF or 0xE0020 <= ord(letter) <= 0xE007F
        for letter in text
    )


def package_names() -> Iterator[tuple[str, dict[str, Sequence[str]]]]:
    """Yield each language of the package, and name and keywords by concept; its English has short names besides."""
    package = emoji_package()
    for lang in package.LANGUAGES:
        names: dict[str, Sequence[str]] = {}
        for concept in emoji.concepts():
            facts = package.EMOJI_DATA[emoji.sign(concept)]
            if lang in facts:
                short = facts.get("alias", []) if lang == "en" else []
                names[concept] = [spoken(facts[lang]), *dict.fromkeys(map(spoken, short))]
        yield lang, names


def cldr_names(folder: Path) -> Iterator[tuple[str, dict[str, Sequence[str]]]]:
    """Yield each locale of CLDR that names a concept, and name and keywords by concept; English has those of the
    package besides.
    """
    signs = {emoji.sign(concept).replace(VARIATION, ""): concept for concept in emoji.concepts()}
    aliases = {concept: names[1:] for lang, of in package_names() if lang == "en" for concept, names in of.items()}
    for locale in sorted(path.name for path in (folder / "cldr-annotations-full" / "annotations").iterdir()):
        names: dict[str, Sequence[str]] = {}
        for package, half in HALVES.items():
            path = folder / package / half / locale / "annotations.json"
            content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {half: {}}
            names |= dict(entries(content[half].get("annotations", {}), signs))
        if locale == "en":
            names = {
                key: [name, *dict.fromkeys((*words, *aliases.get(key, ())))] for key, (name, *words) in names.items()
            }
        if names and locale != "und":
            yield locale, names


def entries(annotations: Mapping[str, Any], signs: Mapping[str, str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each concept that a locale itself names, with its name and keywords."""
    for sign, entry in annotations.items():
        concept = signs.get(sign.replace(VARIATION, ""))
        name = clean((entry.get("tts") or [""])[0])
        if concept and name and name != INHERITED:
            words = [word for word in map(clean, entry.get("default", [])) if word and word != INHERITED]
            yield concept, [name, *dict.fromkeys(words)]


def spoken(short: str) -> str:
    """Return a short name as words (``:thumbs_up:`` → ``thumbs up``)."""
    return clean(unicodedata.normalize("NFC", short).strip(":").replace("_", " "))


def clean(text: str) -> str:
    """Return a text in NFC with every run of white space as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def write_names(folder: Path, target: Path) -> None:
    """Write the names of both sources."""
    with zipfile.ZipFile(target, "w") as packed:
        for source, languages in (("emoji", package_names()), ("cldr", cldr_names(folder))):
            for lang, names in languages:
                keyed = lang.partition("-")[0] == "en"
                lines = []
                for concept in emoji.concepts():
                    name, *keywords = names.get(concept, ("",))
                    lines.append(f"{name}\t{'|'.join(keywords)}" if keyed and keywords else name)
                member = zipfile.ZipInfo(f"{source}/{lang}", EPOCH)
                packed.writestr(member, "\n".join(lines), zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cldr", type=Path, metavar="DIR", help="where both packages of CLDR are unpacked")
    parser.add_argument(
        "--concepts", type=Path, metavar="FOLDER", help="choose the concepts anew, with Google's images"
    )
    given = parser.parse_args()
    if given.concepts is not None:
        os.environ["GLOTCLIP_EMOJI_VENDORS"] = str(given.concepts)
        lines = [
            "# Concepts of the emoji dataset: code points in hex, TAB, split. Made by tools/make_emoji_names.py."
        ]
        lines += ["\t".join(each) for each in make_concepts()]
        (DATA / "emoji_concepts.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_names(given.cldr, DATA / "emoji_names.zip")


if __name__ == "__main__":
    main()
