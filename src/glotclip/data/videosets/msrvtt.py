"""MSR-VTT as the field passes it on: CLIP4Clip's pack, and the nine languages of MMP as re-packed beside it.

    MSRVTT_JSFUSION_test.csv                  the 1,000 test videos of "1K-A", one English sentence each
    MSRVTT_train.9k.csv, MSRVTT_train.7k.csv  the videos to train on, two choices
    MSRVTT_data.json                          20 English captions of each of 10,000 videos
    multilingual_test/test_LANG.json          {"videoN.mp4": [caption, …]}: the first is the one tested with
    multilingual_train/ref_captions_LANG.json the same for training
    …/videoN.mp4                              anywhere below

The first four may lie in ``annotations``. Captions in other languages than English are machine translations.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from glotclip.data.encodings import read_text
from glotclip.data.schema import SkippedItem, known_language
from glotclip.data.video import Sampling
from glotclip.data.videosets.videoset import Clip, Films, Text, VideoSet, assemble
from glotclip.errors import DataError, LanguageError
from glotclip.storage import read_json

NAME = "msrvtt"
LICENCE = "MSR-VTT: research use; videos: their owners' terms"
SAMPLING = Sampling(12, "fps", 1.0)  # CLIP4Clip's, MCLIP4VLA's and, as far as is known, MLA's
_PLACES = ("", "annotations", "annotation", "msrvtt_data")
_TEST = "MSRVTT_JSFUSION_test.csv"
_DATA = "MSRVTT_data.json"
_TRAIN = ("MSRVTT_train.9k.csv", "MSRVTT_train.7k.csv")
_NINE = {"multilingual_test": "test_", "multilingual_train": "ref_captions_"}
_ALL = "all"
_OWNERS_SPLITS = {"train": "train", "validate": "validation", "test": "test"}


def recognises(path: Path) -> bool:
    """Whether a folder holds any of the files above."""
    return path.is_dir() and _place(path) is not None


def read(folder: Path, videos: Path | None = None, *, train: str = "9k") -> VideoSet:
    """Read all captions.

    Args:
        folder: the folder of the lists, see above.
        videos: the folder of the videos, where that is not below ``folder``.
        train: ``9k`` or ``7k``: which list of training videos, if both are there.

    Raises:
        DataError: if no list is there, or one is damaged.
    """
    place = _place(folder)
    if place is None:
        raise DataError(f"{folder} holds no lists of MSR-VTT", hint=f"expected {_TEST}, {_DATA} or multilingual_test")
    splits = _Splits(place, train)
    texts, unlabelled = _captions(place, splits)
    clips = [
        Clip(name, splits.of(name), _aligned(by_lang), place) for name, by_lang in texts.items() if splits.of(name)
    ]
    about = "Captions other than English are machine translations."
    if splits.tested:
        about = f"One caption a video and language. {about}"
    if (place / _TEST).exists():
        about = f"MSR-VTT 1K-A. {about}"
    where = videos or folder
    return assemble(
        NAME, clips, Films([where]), folder=where, licence=LICENCE, about=about, skipped=unlabelled, sampling=SAMPLING
    )


class _Splits:
    """Which split each video is in: by the lists of 1K-A where they are, else as the owner's JSON says."""

    def __init__(self, place: Path, train: str) -> None:
        self._test = {row["video_id"] for row in _table(place / _TEST)} if (place / _TEST).exists() else None
        first = [name for name in _TRAIN if train in name]
        lists = [place / name for name in (*first, *_TRAIN) if (place / name).exists()]
        self._train = {row["video_id"] for row in _table(lists[0])} if lists else None
        self._owner: dict[str, str] = {}
        if (place / _DATA).exists():
            for entry in _list(place / _DATA, "videos"):
                self._owner[str(entry.get("video_id"))] = str(entry.get("split"))
        self._nine: set[str] = set()

    @property
    def tested(self) -> bool:
        """Whether a list says which videos are tested on, with which captions."""
        return self._test is not None or bool(self._nine)

    def note_tested(self, name: str) -> None:
        """Take a video as tested, because a list of test captions names it and there is no better one."""
        if self._test is None:
            self._nine.add(name)

    def of(self, name: str) -> str:
        """Return the split of a video, or "" if it is in none of the lists."""
        if self._test is not None:
            if name in self._test:
                return "test"
            return "train" if self._train is None or name in self._train else ""
        if name in self._nine:
            return "test"
        if self._train is not None:
            return "train" if name in self._train else ""
        return _OWNERS_SPLITS.get(self._owner.get(name, ""), "train")


#: Captions by video, then language; those of 1K-A's test replace the twenty.
_Captions = dict[str, dict[str, list[str]]]


def _captions(place: Path, splits: _Splits) -> tuple[_Captions, list[SkippedItem]]:
    bad: list[SkippedItem] = []
    tested: _Captions = {}
    for lang, path in _files(place, "multilingual_test", bad):
        for name, captions in _by_video(path).items():
            splits.note_tested(name)
            tested.setdefault(name, {})[lang] = captions[:1]
    if (place / _TEST).exists():
        for row in _table(place / _TEST, "sentence"):
            tested.setdefault(row["video_id"], {})["en"] = [row["sentence"]]
    found: _Captions = {}
    if (place / _DATA).exists():
        for entry in _list(place / _DATA, "sentences"):
            found.setdefault(str(entry.get("video_id")), {}).setdefault("en", []).append(str(entry.get("caption")))
    for lang, path in _files(place, "multilingual_train", bad):
        for name, captions in _by_video(path).items():
            found.setdefault(name, {})[lang] = captions
    return found | tested, bad


def _aligned(by_lang: Mapping[str, Sequence[str]]) -> list[Text]:
    """Pair the k-th caption of a language with the k-th English one: they are translations, line by line."""
    english = by_lang.get("en", ())
    return [
        Text(caption, lang, english[place] if lang != "en" and len(english) == len(captions) else None)
        for lang, captions in sorted(by_lang.items(), key=lambda item: item[0] != "en")
        for place, caption in enumerate(captions)
    ]


def _place(folder: Path) -> Path | None:
    marks = (_TEST, _DATA, *_NINE)
    return next(
        (folder / place for place in _PLACES if any((folder / place / mark).exists() for mark in marks)), None
    )


def _files(place: Path, kind: str, bad: list[SkippedItem]) -> Iterator[tuple[str, Path]]:
    """Yield language and file of the nine-language lists, English first."""
    folder, start = place / kind, _NINE[kind]
    found: list[tuple[str, Path]] = []
    for path in sorted(folder.glob(f"{start}*.json")) if folder.is_dir() else []:
        code = path.stem.removeprefix(start)
        if code == _ALL:  # also the code of a language of Kerala, which is not meant
            bad.append(SkippedItem(str(path), None, "its captions do not say their languages"))
            continue
        try:
            found.append((known_language(code), path))
        except LanguageError as error:
            bad.append(SkippedItem(str(path), None, error.message))
    yield from sorted(found, key=lambda item: item[0] != "en")


def _by_video(path: Path) -> dict[str, list[str]]:
    content = read_json(path)
    if not isinstance(content, dict) or not all(
        isinstance(captions, list) and all(isinstance(caption, str) for caption in captions)
        for captions in content.values()
    ):
        raise DataError(f'{path} is not an object {{"videoN.mp4": [caption, …]}}', hint="fetch the file anew")
    return {Path(name).stem: captions for name, captions in content.items() if captions}


def _table(path: Path, *needed: str) -> list[dict[str, str]]:
    rows = list(csv.DictReader(read_text(path).splitlines()))
    for column in ("video_id", *needed):
        if not rows or any(row.get(column) is None for row in rows):
            raise DataError(f"{path} has no column {column!r}, or rows without it", hint="fetch the file anew")
    return rows


def _list(path: Path, key: str) -> list[dict[str, Any]]:
    content = read_json(path)
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise DataError(f'{path} is not an object with an array "{key}"', hint="fetch the file anew")
    return found
