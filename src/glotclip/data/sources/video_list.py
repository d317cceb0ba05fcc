"""A plain list of captioned videos of one's own: JSON lines, one a video.

    {"id": "dog-1", "path": "clips/dog.mp4", "captions": {"en": ["a dog runs"], "de": ["ein Hund läuft"]},
     "split": "test"}

``path`` starts from the file's folder. ``split`` is ``train`` and ``id`` the path where they are left out. A
language's captions may be one text. Where English and another language have equally many, the k-th are taken as
translations of one another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glotclip.data.dataset import register
from glotclip.data.encodings import read_text, split_lines
from glotclip.data.markers import is_missing
from glotclip.data.schema import SkippedItem, known_split
from glotclip.data.video_corpus import Clip, VideoCorpus, aligned_rows
from glotclip.errors import DataError

_SUFFIXES = (".jsonl", ".ndjson")
_SHAPE = 'write {"id": …, "path": …, "captions": {"en": […]}, "split": …}'


@register
class VideoList(VideoCorpus):
    """The videos of one file."""

    precedence = 1
    by_name = False

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether a file of JSON lines begins with an object that has ``captions`` by language."""
        path = Path(data)
        if not path.is_file() or path.suffix.lower() not in _SUFFIXES:
            return False
        with path.open("rb") as stream:
            try:
                first = json.loads(stream.readline() or b"null")
            except (ValueError, RecursionError):
                return False
        return isinstance(first, dict) and isinstance(first.get("captions"), dict)

    def clips(self) -> tuple[list[Clip], list[SkippedItem]]:
        """The video of each line."""
        clips: list[Clip] = []
        skipped: list[SkippedItem] = []
        for line, content in enumerate(split_lines(read_text(self.path)), start=1):
            if not content.strip():
                continue
            try:
                clips.append(_clip(json.loads(content), self.path, line))
            except (ValueError, RecursionError) as error:
                skipped.append(SkippedItem(str(self.path), line, f"the line is not valid JSON ({error})"))
            except DataError as error:
                skipped.append(SkippedItem(str(self.path), line, error.message))
        if not clips:
            first = f"; line {skipped[0].line}: {skipped[0].reason}" if skipped else ""
            raise DataError(f"{self.path} holds no captioned videos{first}", hint=_SHAPE)
        return clips, skipped


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
    name, split = entry.get("id"), entry.get("split")
    chosen = "" if is_missing(split) else known_split(str(split))
    return Clip(file if is_missing(name) else str(name), chosen, aligned_rows(captions), path, file, line)
