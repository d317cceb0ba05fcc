"""Labelled photographs: one picture of each of many things, and what the thing is called in many languages.

``photos.json`` is an array of objects with ``file``, ``wnid``, ``class_index`` and ``name``, the English class name;
``labels.json`` is an object: language → class index → label, languages as BabelNet and Wikipedia write them. Pictures
lie in the folder where ``file`` says. It is a test set, made of samples of ImageNet and the labels of Babel-ImageNet
(Geigle et al. 2023). A label is a row of split "test" whose English counterpart is the class name.

Whatever the language, the gallery is all photographs: one with few labels does not get the easier test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from glotclip.data.benchmark import Benchmark
from glotclip.data.corpus_folder import CorpusFolder, Located, english_first
from glotclip.data.dataset import held_out_of, register
from glotclip.data.encodings import read_objects
from glotclip.data.reading import ReadingOptions
from glotclip.data.schema import Row, language_or_none
from glotclip.data.serving import servers
from glotclip.errors import DataError
from glotclip.storage import read_json

PHOTOS, LABELS = "photos.json", "labels.json"
ENGLISH = "en"
# Wikipedia's names of its editions, where BCP-47 has another code for the language, or another language for the code.
_EDITIONS = {
    "als": "gsw", "bat-smg": "sgs", "be-x-old": "be-tarask", "eml": "egl", "fiu-vro": "vro", "nrm": "nrf",
    "roa-rup": "rup", "zh-classical": "lzh", "zh-min-nan": "nan", "zh-yue": "yue",
}  # fmt: skip
# Titles of the Wikipedia in simple English, which are English, and Babel-ImageNet's English, which is WordNet's.
_ENGLISH_TOO = frozenset({"en", "simple"})


@register
class LabelledPhotos(CorpusFolder):
    """About 500 labels a language; a row's group is the class's WordNet id."""

    name = "labelled-photos"
    image_places = ("",)

    def __init__(self, path: Path, options: ReadingOptions | None = None) -> None:
        super().__init__(path, options)
        self._unknown: list[str] = []  # names of languages that are none

    def languages(self) -> list[str]:
        """English first; none if the folder is not laid out this way."""
        if not all((self.path / name).is_file() for name in (PHOTOS, LABELS)):
            return []
        return english_first((ENGLISH, *self._labels))

    def captions(self, lang: str) -> Iterator[Located]:
        """Class by class, in the order of the photographs; then what cannot be used."""
        if lang == ENGLISH:
            for place, photo in enumerate(self._photos, start=1):
                yield str(self.path / PHOTOS), place, _row(photo, str(photo.get("name") or ""), ENGLISH)
            return
        labels, where = self._labels[lang], str(self.path / LABELS)
        known = {str(photo.get("class_index")) for photo in self._photos}
        for photo in self._photos:
            index = str(photo.get("class_index"))
            if index not in labels:
                continue
            label = labels[index]
            wrong = f"the label of class {index} in {lang} is no text: {label!r}"
            yield where, None, _row(photo, label, lang) if isinstance(label, str) else wrong
        for index in labels.keys() - known:
            yield where, None, f"the label {labels[index]!r} in {lang} is of class {index}, which has no photograph"

    def notes(self, langs: Sequence[str]) -> tuple[str, ...]:
        """Names under which there are labels and that are no language's."""
        del langs
        self.languages()
        names = ", ".join(self._unknown)
        return (f"{LABELS}: labels under {names}, which is no language code, are not used",) if names else ()

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The labels in ``langs``, asked of all photographs."""
        codes = list(servers(langs, self.languages()))
        if not codes:
            return None
        everything = list(dict.fromkeys((ENGLISH, *codes)))
        found = held_out_of(self.corpus(everything), everything)
        if found is None:
            return None
        size = len(found.images)
        return replace(
            found,
            captions={code: found.captions[code] for code in codes if code in found.captions},
            protocol=f"gallery: all {size} photographs, one a class; queries: what the class is called, one a class "
            "that has a label in the language",
        )

    @cached_property
    def _photos(self) -> list[dict[str, Any]]:
        return read_objects(self.path / PHOTOS)

    @cached_property
    def _labels(self) -> dict[str, Mapping[str, Any]]:
        """The labels of each language other than English, by class index."""
        content = read_json(self.path / LABELS)
        if not isinstance(content, dict) or not all(isinstance(labels, dict) for labels in content.values()):
            raise DataError(
                f"{self.path / LABELS} is not an object of objects",
                hint='it should say: {"DE": {"0": "Schleie", …}, …}, language → class index → label',
            )
        found: dict[str, Mapping[str, Any]] = {}
        for written, labels in content.items():
            code = written.lower().replace("_", "-")
            lang = language_or_none(_EDITIONS.get(code, code))
            if code in _ENGLISH_TOO:
                continue
            if lang is None:
                self._unknown.append(written)
            else:
                found[lang] = {**labels, **found.get(lang, {})}
        return found


def _row(photo: Mapping[str, Any], label: str, lang: str) -> Row | str:
    """The unchecked row of one label, or why there is none."""
    file, wnid = photo.get("file"), photo.get("wnid")
    if not isinstance(file, str) or not isinstance(wnid, str):
        return f"the photograph lacks its file or wnid: {dict(photo)}"
    name = photo.get("name")
    english = name if lang != ENGLISH and isinstance(name, str) else None
    return Row(label, lang, image=Path(file), english=english, split="test", group=wnid)
