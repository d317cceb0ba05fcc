"""A plain list of captioned videos of one's own: JSON lines, one a video.

    {"id": "dog-1", "path": "clips/dog.mp4", "captions": {"en": ["a dog runs"], "de": ["ein Hund läuft"]},
     "split": "test"}

``path`` starts from the file's folder. ``split`` is ``train`` and ``id`` the path where they are left out. A
language's captions may be one text. Where English and another language have equally many, the k-th are taken as
translations of one another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from glotclip.data.encodings import read_text, split_lines
from glotclip.data.holdout import divide
from glotclip.data.markers import is_missing
from glotclip.data.schema import SkippedItem, known_split
from glotclip.data.videosets.videoset import Clip, Films, Text, VideoSet, assemble
from glotclip.errors import DataError

_SUFFIXES = (".jsonl", ".ndjson")
_SHAPE = 'write {"id": …, "path": …, "captions": {"en": […]}, "split": …}'


def recognises(path: Path) -> bool:
    """Whether a file of JSON lines begins with an object that has ``captions`` by language."""
    if not path.is_file() or path.suffix.lower() not in _SUFFIXES:
        return False
    with path.open("rb") as stream:
        try:
            first = json.loads(stream.readline() or b"null")
        except (ValueError, RecursionError):
            return False
    return isinstance(first, dict) and isinstance(first.get("captions"), dict)


def read(path: Path, videos: Path | None = None, *, hold_out: float = 0.0) -> VideoSet:
    """Read all captions.

    Args:
        path: the file.
        videos: the folder that paths start from, where that is not the file's.
        hold_out: the share of videos to hold out for testing where no line says its split.

    Raises:
        DataError: if the file is absent, is not UTF-8, or no line of it can be used.
    """
    root = videos or path.parent
    bad: list[SkippedItem] = []
    clips = list(_clips(path, bad))
    divided = any(clip.split for clip in clips)
    clips = [replace(clip, split=clip.split or "train") for clip in clips]
    if not clips:
        first = f"; line {bad[0].line}: {bad[0].reason}" if bad else ""
        raise DataError(f"{path} holds no captioned videos{first}", hint=_SHAPE)
    found = assemble(path.name, clips, Films([root], anywhere=False), folder=root, skipped=bad)
    if hold_out and not divided:
        division = divide(found.corpus.rows, hold_out, root)
        split_of = {row.group: row.split for row in division.rows if row.group is not None}
        clips = [replace(clip, split=split_of.get(clip.name, "train")) for clip in clips]
        found = assemble(path.name, clips, Films([root], anywhere=False), folder=root, skipped=bad)
        corpus = replace(found.corpus, notes=(division.note,), divided=False)
        found = replace(found, corpus=corpus)
    return found


def _clips(path: Path, bad: list[SkippedItem]) -> Iterator[Clip]:
    for line, content in enumerate(split_lines(read_text(path)), start=1):
        if not content.strip():
            continue
        try:
            yield _clip(json.loads(content), path, line)
        except (ValueError, RecursionError) as error:
            bad.append(SkippedItem(str(path), line, f"the line is not valid JSON ({error})"))
        except DataError as error:
            bad.append(SkippedItem(str(path), line, error.message))


def _clip(entry: Any, path: Path, line: int) -> Clip:
    """Check the shape of one line."""
    if not isinstance(entry, dict) or not isinstance(entry.get("captions"), dict):
        raise DataError('the line is not an object with "captions" by language', hint=_SHAPE)
    file = entry.get("path")
    if not isinstance(file, str) or not file.strip():
        raise DataError('the line has no "path"', hint="name the video's file")
    captions: dict[str, list[str]] = {}
    for lang, texts in entry["captions"].items():
        captions[lang] = [texts] if isinstance(texts, str) or is_missing(texts) else texts
        if isinstance(captions[lang], list):  # JSON's null and NaN are empty texts, listed as such
            captions[lang] = [
                "" if not isinstance(text, str) and is_missing(text) else text for text in captions[lang]
            ]
        if not isinstance(captions[lang], list) or not all(isinstance(text, str) for text in captions[lang]):
            raise DataError(f"its {lang} captions are not texts", hint="write an array of texts")
    english = captions.get("en", [])
    texts = [
        Text(text, lang, english[place] if lang != "en" and len(english) == len(of_lang) else None)
        for lang, of_lang in captions.items()
        for place, text in enumerate(of_lang)
    ]
    name, split = entry.get("id"), entry.get("split")
    chosen = "" if is_missing(split) else known_split(str(split))
    return Clip(file if is_missing(name) else str(name), chosen, texts, path, file, line)
