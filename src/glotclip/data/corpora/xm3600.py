"""Crossmodal-3600: 3,600 pictures from all over the world with human captions in 36 languages; a test set.

Two layouts are read: the owner's ``captions.jsonl``, a picture a line, and CLL-CLIP's
``annotations/xm3600/LANG/test.json``. Captions were written for the pictures, not translated, so rows have no English
counterpart. Pictures are ``KEY.jpg`` in ``images`` or ``XM3600``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glotclip.data.corpora.layout import Layout, Located, entries, first, lines_of
from glotclip.data.schema import Row, known_language
from glotclip.errors import LanguageError

_ANNOTATIONS = ("annotations/xm3600", "data/annotations/xm3600", "xm3600")


class XM3600(Layout):
    """About two captions a picture and language; a row's group is the picture's key."""

    name = "xm3600"
    licence = "XM3600: captions CC BY 4.0; pictures: Open Images, CC BY 2.0"
    needs = "captions.jsonl, or annotations/xm3600/de/test.json, …"
    picture_places = ("images", "XM3600", "data/XM3600", "../images", "../XM3600")

    def languages(self, folder: Path) -> list[str]:
        """English first."""
        path = _owners(folder)
        found = _codes_in(path) if path else {_known(p.parent.name) for p in _annotated(folder)}
        return sorted((code for code in found if code), key=lambda code: (code != "en", code))

    def captions(self, folder: Path, lang: str) -> Iterator[Located]:
        """Picture by picture."""
        path = _owners(folder)
        found = _from_owner(path, lang) if path else _from_annotations(folder, lang)
        for where, line, key, texts in found:
            if not key or not texts:
                yield where, line, f"the picture lacks its key or {lang} captions"
                continue
            for text in texts:
                yield where, line, Row(text, lang, image=Path(f"{key}.jpg"), split="test", group=key)


#: file, line, key of the picture, captions
_Found = tuple[str, int | None, str, list[str]]


def _from_owner(path: Path, lang: str) -> Iterator[_Found]:
    for line, content in enumerate(lines_of(path), start=1):
        if not content.strip():
            continue
        item = _object(content)
        value = next((value for name, value in item.items() if isinstance(value, dict) and _known(name) == lang), {})
        yield str(path), line, str(item.get("image/key", "")), _texts(value.get("caption"))


def _from_annotations(folder: Path, lang: str) -> Iterator[_Found]:
    for path in _annotated(folder):
        if _known(path.parent.name) == lang:
            for item in entries(path):
                yield str(path), None, Path(str(item.get("image", ""))).stem, _texts(item.get("caption"))


def _owners(folder: Path) -> Path | None:
    """Return the owner's file, if it is that: other datasets have a ``captions.jsonl`` too."""
    path = first(folder, ("captions.jsonl",))
    if path is None:
        return None
    if path.suffix != ".gz":
        with path.open(encoding="utf-8", errors="replace") as stream:
            return path if '"image/key"' in stream.readline() else None
    return path if '"image/key"' in lines_of(path)[0] else None


def _codes_in(path: Path) -> set[str | None]:
    """Return the codes of the first picture; every picture has all languages."""
    if path.suffix == ".gz":
        line = lines_of(path)[0]
    else:
        with path.open(encoding="utf-8", errors="replace") as stream:
            line = stream.readline()
    return {_known(name) for name, value in _object(line).items() if isinstance(value, dict)}


def _annotated(folder: Path) -> list[Path]:
    place = next((folder / place for place in _ANNOTATIONS if (folder / place).is_dir()), None)
    return sorted(place.glob("*/test.json")) if place else []


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _texts(caption: object) -> list[str]:
    return [text for text in caption if isinstance(text, str)] if isinstance(caption, list) else []


def _known(code: str) -> str | None:
    try:
        return known_language(code)
    except LanguageError:
        return None


XM_3600 = XM3600()
