"""MSCOCO36: MSCOCO's captions in 36 languages, in the layout of CLL-CLIP's code.

Training captions are triplets ``corpus/multilingual_coco/36langs/triplet/coco_vision-en-LANG.tsv.gz``: path of the
picture, English, target; the files are aligned line by line across languages. Validation and test captions are
``annotations/coco/translated/LANG/{val,test}.json``. All languages but English are machine-translated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from glotclip.data.corpora.karpathy import COCO_PLACES
from glotclip.data.corpora.layout import Layout, Located, entries, first, lines_of
from glotclip.data.schema import Row, known_language
from glotclip.errors import LanguageError

_ROOTS = ("", "data")
_TRIPLETS = "corpus/multilingual_coco/36langs/triplet"
_STEM = "coco_vision-en-"
_ANNOTATIONS = "annotations/coco"
_PARTS = {"val": "validation", "test": "test"}


class MSCOCO36(Layout):
    """566,747 / 25,010 / 25,010 captions a language; a row's group is the name of COCO's picture."""

    name = "mscoco36"
    licence = "MSCOCO captions: CC BY 4.0; translations: CLL-CLIP, Google Translate; pictures: Flickr's terms"
    needs = f"{_TRIPLETS}/{_STEM}de.tsv.gz, … and {_ANNOTATIONS}/translated/de/val.json, …"
    picture_places = tuple(f"{root}{place}" for root in ("", "data/") for place in COCO_PLACES)

    def languages(self, folder: Path) -> list[str]:
        """English first."""
        found = {_code(path.name.removeprefix(_STEM)) for path in _inner(folder, _TRIPLETS, f"{_STEM}*.tsv*")}
        found |= {_code(path.name) for path in _inner(folder, f"{_ANNOTATIONS}/translated", "*") if path.is_dir()}
        found.discard(None)
        if found and any(_annotations(folder, "en", part) for part in ("train", *_PARTS)):
            found.add("en")
        return sorted((code for code in found if code), key=lambda code: (code != "en", code))

    def captions(self, folder: Path, lang: str) -> Iterator[Located]:
        """The training triplets, then validation and test."""
        yield from self._training(folder, lang)
        for part, split in _PARTS.items():
            path = _annotations(folder, lang, part)
            if path is None:
                yield f"{folder}/{_ANNOTATIONS}/translated/{lang}/{part}.json", None, "the file is not there"
                continue
            source = _annotations(folder, "en", part) if lang != "en" else None
            english = {_name(item): _texts(item) for item in entries(source)} if source else {}
            for number, item in enumerate(entries(path)):
                name, texts = _name(item), _texts(item)
                if name is None or not texts:
                    yield str(path), None, f"item {number} lacks an image or captions"
                    continue
                beside = english.get(name, [])
                for index, text in enumerate(texts):
                    # The k-th caption translates the k-th; with another number of captions that cannot be told.
                    source_text = beside[index] if len(beside) == len(texts) else None
                    yield str(path), None, _row(text, lang, name, split, source_text)

    def _training(self, folder: Path, lang: str) -> Iterator[Located]:
        path = next((p for p in _inner(folder, _TRIPLETS, f"{_STEM}*.tsv*") if _triplet_of(p) == lang), None)
        if path is None and lang == "en":
            plain = _annotations(folder, "en", "train")
            if plain is not None:
                for number, item in enumerate(entries(plain)):
                    name, texts = _name(item), _texts(item)
                    if name is None or not texts:
                        yield str(plain), None, f"item {number} lacks an image or a caption"
                    for text in texts if name else []:
                        yield str(plain), None, _row(text, lang, str(name), "train", None)
                return
        if path is None:
            yield f"{folder}/{_TRIPLETS}/{_STEM}{lang}.tsv.gz", None, "the file is not there"
            return
        for line, content in enumerate(lines_of(path), start=1):
            cells = content.split("\t", 2)  # a translation may hold a tab
            if len(cells) != 3:
                yield str(path), line, f"the line has {len(cells)} columns, not picture, English and target"
                continue
            yield str(path), line, _row(cells[2], lang, cells[0], "train", None if lang == "en" else cells[1])

    def provenance(self, folder: Path, langs: Sequence[str]) -> Mapping[str, str]:
        """All languages but English are machine-translated."""
        del folder
        return {lang: "Google Translate (documents), released with CLL-CLIP" for lang in langs if lang != "en"}


def _row(text: str, lang: str, picture: str, split: str, english: str | None) -> Row:
    where = _picture(picture)
    return Row(text, lang, image=where, english=english, split=split, group=where.name)


@lru_cache(maxsize=8)  # the captions of a picture follow one another
def _picture(path: str) -> Path:
    """Return the part of a picture's path that is COCO's own: ``val2014/COCO_val2014_…jpg``."""
    name = Path(path).name
    return Path(name.split("_")[1], name) if name.count("_") == 2 else Path(path)


def _name(item: Mapping[str, Any]) -> str | None:
    name = item.get("image")
    return name if isinstance(name, str) and name else None


def _texts(item: Mapping[str, Any]) -> list[str]:
    caption = item.get("caption")
    texts = [caption] if isinstance(caption, str) else caption
    return [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []


def _inner(folder: Path, below: str, pattern: str) -> list[Path]:
    """List what matches in the first root that has the inner folder."""
    for root in _ROOTS:
        if (folder / root / below).is_dir():
            return sorted((folder / root / below).glob(pattern))
    return []


def _annotations(folder: Path, lang: str, part: str) -> Path | None:
    """Return an annotation file; English ones may lie outside ``translated``."""
    places = [f"translated/{lang}", lang] if lang == "en" else [f"translated/{lang}"]
    return first(
        folder, (f"{root}/{_ANNOTATIONS}/{place}/{part}.json".lstrip("/") for root in _ROOTS for place in places)
    )


def _triplet_of(path: Path) -> str | None:
    return _code(path.name.removeprefix(_STEM))


def _code(name: str) -> str | None:
    try:
        return known_language(name.partition(".")[0])
    except LanguageError:
        return None


MSCOCO_36 = MSCOCO36()
