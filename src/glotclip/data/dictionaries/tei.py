"""Dictionaries in TEI, FreeDict's own format: XML, read as a stream.

An ``entry`` has headwords (``form/orth``), and senses with translations (``cit type="trans"/quote``, in older files
``trans/tr``) and examples (``cit type="example"``, its translation inside). Definitions (``def``) are in the
headword's language and are not used. See FreeDict's guide to TEI, and TEI P5, chapter 9.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from glotclip.data.dictionaries.cleaning import Cleaner, Pair
from glotclip.data.dictionaries.codes import sides_of_name, sides_of_title, usual_language
from glotclip.data.dictionaries.sources import check_sides
from glotclip.data.dictionaries.xml_stream import XML_LANG, below, elements, local, text_of
from glotclip.data.licences import Licence, spdx_in
from glotclip.data.streaming import TextFile
from glotclip.errors import DataError

_LOOKED_AT = 200


@dataclass(frozen=True)
class Tei:
    """One dictionary.

    Attributes:
        file: the file.
        given: the language that a user says it has beside English.
    """

    file: TextFile
    given: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @property
    def lang(self) -> str:
        """The language that is not English."""
        one, other = self.sides
        return other if one.split("-")[0] == "en" else one

    @property
    def turned(self) -> bool:
        """Whether the headwords are English."""
        return self.sides[0].split("-")[0] == "en"

    @cached_property
    def sides(self) -> tuple[str, str]:
        """The languages of headwords and translations: as the file's name says, else ``xml:lang``, else the title."""
        found = sides_of_name(self.name) or self._marked() or sides_of_title(self._header[0])
        if found is None and self.given:
            found = (self.given, "en")
        if found is None:
            raise DataError(
                f"{self.file} does not say its languages",
                hint="call it by them, as in deu-eng.tei, or name the one that is not English (--default-lang de)",
            )
        check_sides(self.file, found)
        return found

    def licence(self) -> Licence:
        """The terms that its header states."""
        title, terms = self._header
        return Licence(self.name, spdx_in(terms) or "unknown (stated in the file)", title or "FreeDict", "")

    def pairs(self, cleaner: Cleaner) -> Iterator[Pair]:
        """Yield (text, English), entry by entry."""
        for entry in elements(self.file, "entry"):
            headwords = [text_of(orth) for orth in below(entry, "orth")]
            senses = [text_of(found) for found in _translations(entry)]
            pairs = list(_examples(entry, cleaner))
            pairs += cleaner.pairs(headwords, senses)
            yield from ((english, text) for text, english in pairs) if self.turned else pairs

    def _marked(self) -> tuple[str, str] | None:
        """The languages that ``xml:lang`` names, on the body or on headwords, and on translations."""
        head = other = None
        for element in elements(self.file, "body", "entry", starts=("body",)):
            if local(element) == "body":
                head = element.get(XML_LANG)
                continue
            head = head or next((each.get(XML_LANG) for each in element.iter() if each.get(XML_LANG)), None)
            cits = (each for found in _translations(element) for each in (found, *_parents(element, found)))
            other = next((each.get(XML_LANG) for each in cits if each.get(XML_LANG)), None)
            break
        one, two = (usual_language(code) if code else None for code in (head, other))
        return (one, two) if one and two and one != two else None

    @cached_property
    def _header(self) -> tuple[str, str]:
        """Title and terms of use."""
        for header in elements(self.file, "teiHeader"):
            title = next((text_of(each) for each in below(header, "title")), "")
            terms = " ".join(text_of(each) for each in below(header, "availability"))
            targets = " ".join(each.get("target", "") for each in below(header, "licence"))
            return title, f"{terms} {targets}"
        return "", ""


def _translations(entry: ET.Element) -> Iterator[ET.Element]:
    """The quotes of translations, those of examples aside."""
    for child in entry:
        name, kind = local(child), child.get("type", "")
        if name == "cit" and kind in ("trans", "translation"):
            yield from (each for each in child if local(each) == "quote")
        elif name == "tr":
            yield child
        elif name not in ("cit", "eg", "form", "xr", "note"):
            yield from _translations(child)


def _examples(entry: ET.Element, cleaner: Cleaner) -> Iterator[Pair]:
    """Examples that have a translation."""
    for cit in below(entry, "cit"):
        if cit.get("type") != "example":
            continue
        text = next((text_of(each) for each in cit if local(each) == "quote"), "")
        other = next((text_of(each) for inner in cit if local(inner) == "cit" for each in below(inner, "quote")), "")
        if (pair := cleaner.example(text, other)) is not None:
            yield pair


def _parents(entry: ET.Element, wanted: ET.Element) -> Iterator[ET.Element]:
    return (each for each in entry.iter() if wanted in list(each))


def looks_like_tei(file: TextFile) -> bool:
    """Whether the first lines of an XML file name TEI."""
    try:
        return any("TEI" in line for line in islice(file.lines(), _LOOKED_AT))
    except DataError:
        return False
