"""Crossmodal-3600: 3,600 images from all over the world with human captions in 36 languages; a test set.

Two layouts are read: the owner's ``captions.jsonl``, an image a line, and CLL-CLIP's
``annotations/xm3600/LANG/test.json``. Captions were written for the images, not translated, so rows have no English
counterpart. Images are ``KEY.jpg`` in ``images`` or ``XM3600``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glotclip.data.corpus_folder import CorpusFolder, Located, english_first
from glotclip.data.dataset import register
from glotclip.data.encodings import first_file, read_lines, read_objects
from glotclip.data.schema import Row, language_or_none

_ANNOTATIONS = ("annotations/xm3600", "data/annotations/xm3600", "xm3600")


@register
class XM3600(CorpusFolder):
    """About two captions an image and language; a row's group is the image's key."""

    name = "xm3600"
    image_places = ("images", "XM3600", "data/XM3600", "../images", "../XM3600")

    def languages(self) -> list[str]:
        """English first."""
        path = first_file(self.path, ("captions.jsonl",))
        image = _object(_first_line(path)) if path else {}
        if "image/key" in image:  # every image has all languages
            names = [name for name, value in image.items() if isinstance(value, dict)]
        else:  # another dataset has a captions.jsonl too
            names = [path.parent.name for path in self._annotated()]
        return english_first(code for code in map(language_or_none, names) if code)

    def captions(self, lang: str) -> Iterator[Located]:
        """Image by image."""
        path = first_file(self.path, ("captions.jsonl",))
        owners = path is not None and "image/key" in _object(_first_line(path))
        for where, line, key, texts in _from_owner(path, lang) if path and owners else self._from_annotations(lang):
            if not key or not texts:
                yield where, line, f"the image lacks its key or {lang} captions"
                continue
            for text in texts:
                yield where, line, Row(text, lang, image=Path(f"{key}.jpg"), split="test", group=key)

    def _from_annotations(self, lang: str) -> Iterator[_Found]:
        for path in self._annotated():
            if language_or_none(path.parent.name) == lang:
                for item in read_objects(path):
                    yield str(path), None, Path(str(item.get("image", ""))).stem, _texts(item.get("caption"))

    def _annotated(self) -> list[Path]:
        place = next((self.path / place for place in _ANNOTATIONS if (self.path / place).is_dir()), None)
        return sorted(place.glob("*/test.json")) if place else []


#: file, line, key of the image, captions
_Found = tuple[str, int | None, str, list[str]]


def _from_owner(path: Path, lang: str) -> Iterator[_Found]:
    for line, content in enumerate(read_lines(path), start=1):
        if not content.strip():
            continue
        item = _object(content)
        of_lang = (
            value for name, value in item.items() if isinstance(value, dict) and language_or_none(name) == lang
        )
        yield str(path), line, str(item.get("image/key", "")), _texts(next(of_lang, {}).get("caption"))


def _first_line(path: Path) -> str:
    """Return the first line; where the file is damaged, that is said when all of it is read."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", errors="replace") as stream:
            return str(stream.readline())
    except (OSError, EOFError):
        return ""


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _texts(caption: object) -> list[str]:
    return [text for text in caption if isinstance(text, str)] if isinstance(caption, list) else []
