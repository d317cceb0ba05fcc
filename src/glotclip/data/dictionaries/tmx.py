"""Translation memories: TMX, XML with the same segment in several languages in each ``tu``, read as a stream."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from glotclip.data.dictionaries.cleaning import Cleaner, Pair
from glotclip.data.dictionaries.codes import usual_language
from glotclip.data.dictionaries.word_lists import sentence_pair
from glotclip.data.dictionaries.xml_stream import XML_LANG, below, elements, local
from glotclip.data.licences import OWN, Licence
from glotclip.data.streaming import TextFile

#: So many units are looked at to learn which languages there are.
LOOKED_AT = 2_000
# Inline elements that hold codes of a file format, not text (TMX 1.4b, § content markup).
_CODES = ("bpt", "ept", "it", "ph", "ut")


@dataclass(frozen=True)
class Tmx:
    """The segments in one language of a translation memory.

    Attributes:
        file: the file.
        lang: the language.
        turned: never: there is no direction.
    """

    file: TextFile
    lang: str
    turned: bool = False

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    def pairs(self, cleaner: Cleaner) -> Iterator[Pair]:
        """Yield (text, English), unit by unit; all of one language with all English ones."""
        for unit in elements(self.file, "tu"):
            found = segments(unit)
            for text in found.get(self.lang, ()):
                for english in found.get("en", ()):
                    if (pair := sentence_pair(text, english, cleaner)) is not None:
                        yield pair

    def licence(self) -> Licence:
        """The user's own: the format has no place for it."""
        return Licence(self.name, OWN, str(self.file))


def languages_in(file: TextFile) -> list[str]:
    """The languages beside English in the first units."""
    units = islice(elements(file, "tu"), LOOKED_AT)
    return list(dict.fromkeys(lang for unit in units for lang in segments(unit) if lang != "en"))


def segments(unit: ET.Element) -> dict[str, list[str]]:
    """The segments of a unit by language; English of any region is ``en``."""
    found: dict[str, list[str]] = {}
    for variant in below(unit, "tuv"):
        lang = usual_language(variant.get(XML_LANG) or variant.get("lang") or "")
        if lang is not None:
            lang = "en" if lang.split("-")[0] == "en" else lang
            found.setdefault(lang, []).extend(_plain(segment) for segment in below(variant, "seg"))
    return found


def _plain(segment: ET.Element) -> str:
    """The text of a segment without codes of formats."""
    inside = ("" if local(child) in _CODES else _plain(child) for child in segment)
    tails = (child.tail or "" for child in segment)
    return (segment.text or "") + "".join(text + tail for text, tail in zip(inside, tails, strict=True))
