"""MSCOCO36: MSCOCO's captions in 36 languages, in the layout of CLL-CLIP's code.

Training captions are triplets ``corpus/multilingual_coco/36langs/triplet/coco_vision-en-LANG.tsv.gz``: path of the
image, English, target; the files are aligned line by line across languages. Validation and test captions are
``annotations/coco/translated/LANG/{val,test}.json``. All languages but English are machine-translated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from glotclip.data.corpus_folder import CorpusFolder, Located, english_first
from glotclip.data.dataset import register
from glotclip.data.encodings import first_file, read_lines, read_objects
from glotclip.data.schema import Row, language_or_none
from glotclip.data.sources.karpathy import COCO_PLACES, coco_path

_ROOTS = ("", "data")
_TRIPLETS = "corpus/multilingual_coco/36langs/triplet"
_STEM = "coco_vision-en-"
_ANNOTATIONS = "annotations/coco"
_SPLITS = {"val": "validation", "test": "test"}


@register
class MSCOCO36(CorpusFolder):
    """566,747 / 25,010 / 25,010 captions a language; a row's group is the name of COCO's image."""

    name = "mscoco36"
    image_places = tuple(f"{root}{place}" for root in ("", "data/") for place in COCO_PLACES)

    def languages(self) -> list[str]:
        """English first."""
        found = {_code(path.name.removeprefix(_STEM)) for path in self._inner(_TRIPLETS, f"{_STEM}*.tsv*")}
        found |= {_code(path.name) for path in self._inner(f"{_ANNOTATIONS}/translated", "*") if path.is_dir()}
        found.discard(None)
        if found and any(self._annotations("en", name) for name in ("train", *_SPLITS)):
            found.add("en")
        return english_first(code for code in found if code)

    def captions(self, lang: str) -> Iterator[Located]:
        """The training triplets, then validation and test."""
        yield from self._training(lang)
        for name, split in _SPLITS.items():
            path = self._annotations(lang, name)
            if path is None:
                yield f"{self.path}/{_ANNOTATIONS}/translated/{lang}/{name}.json", None, "the file is not there"
                continue
            source = self._annotations("en", name) if lang != "en" else None
            english = {image: texts for _, image, texts in _items(source)} if source else {}
            yield from _from_annotations(path, lang, split, english)

    def provenance(self, langs: Sequence[str]) -> Mapping[str, str]:
        """All languages but English are machine-translated."""
        return {lang: "Google Translate (documents), released with CLL-CLIP" for lang in langs if lang != "en"}

    def _training(self, lang: str) -> Iterator[Located]:
        triplets = self._inner(_TRIPLETS, f"{_STEM}*.tsv*")
        path = next((path for path in triplets if _code(path.name.removeprefix(_STEM)) == lang), None)
        if path is None and lang == "en":
            plain = self._annotations("en", "train")
            yield from _from_annotations(plain, lang, "train", {}) if plain is not None else ()
        elif path is None:
            yield f"{self.path}/{_TRIPLETS}/{_STEM}{lang}.tsv.gz", None, "the file is not there"
        else:
            for line, content in enumerate(read_lines(path), start=1):
                cells = content.split("\t", 2)  # a translation may hold a tab
                if len(cells) != 3:
                    yield str(path), line, f"the line has {len(cells)} columns, not image, English and target"
                    continue
                yield str(path), line, _row(cells[2], lang, cells[0], "train", None if lang == "en" else cells[1])

    def _inner(self, below: str, pattern: str) -> list[Path]:
        """List what matches in the first root that has the inner folder."""
        place = next((self.path / root / below for root in _ROOTS if (self.path / root / below).is_dir()), None)
        return sorted(place.glob(pattern)) if place else []

    def _annotations(self, lang: str, name: str) -> Path | None:
        """Return an annotation file; English ones may lie outside ``translated``."""
        places = [f"translated/{lang}", lang] if lang == "en" else [f"translated/{lang}"]
        names = (f"{root}/{_ANNOTATIONS}/{place}/{name}.json".lstrip("/") for root in _ROOTS for place in places)
        return first_file(self.path, names)


def _from_annotations(path: Path, lang: str, split: str, english: Mapping[str, list[str]]) -> Iterator[Located]:
    for number, image, texts in _items(path):
        if not image or not texts:
            yield str(path), None, f"item {number} lacks an image or captions"
            continue
        beside = english.get(image, [])
        for index, text in enumerate(texts):
            # The k-th caption translates the k-th; with another number of captions that cannot be told.
            yield (
                str(path),
                None,
                _row(text, lang, image, split, beside[index] if len(beside) == len(texts) else None),
            )


def _items(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield number, image and captions of each item; what an item lacks is empty."""
    for number, item in enumerate(read_objects(path)):
        image, caption = item.get("image"), item.get("caption")
        texts: Any = [caption] if isinstance(caption, str) else caption
        texts = [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []
        yield number, image if isinstance(image, str) else "", texts


def _row(text: str, lang: str, image: str, split: str, english: str | None) -> Row:
    where = _path(image)
    return Row(text, lang, image=where, english=english, split=split, group=where.name)


_path = lru_cache(maxsize=8)(coco_path)  # the captions of an image follow one another


def _code(name: str) -> str | None:
    return language_or_none(name.partition(".")[0])
