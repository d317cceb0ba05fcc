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
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from glotclip.data.dataset import register
from glotclip.data.encodings import read_objects, read_text
from glotclip.data.schema import SkippedItem, known_language
from glotclip.data.video import Sampling
from glotclip.data.video_corpus import Clip, VideoCorpus, aligned_rows
from glotclip.errors import DataError, LanguageError
from glotclip.storage import read_json

_PLACES = ("", "annotations", "annotation", "msrvtt_data")
_TEST = "MSRVTT_JSFUSION_test.csv"
_DATA = "MSRVTT_data.json"
_TRAIN = ("MSRVTT_train.9k.csv", "MSRVTT_train.7k.csv")
_COUNTED = {_TRAIN[0]: "train 9k videos", _TRAIN[1]: "train 7k videos", _TEST: "test 1k-A videos"}
_NINE = {"multilingual_test": "test_", "multilingual_train": "ref_captions_"}
_ALL = "all"
_OWNERS_SPLITS = {"train": "train", "validate": "validation", "test": "test"}

#: Captions by video, then language.
_Captions = dict[str, dict[str, list[str]]]


@register
class MsrVtt(VideoCorpus):
    """MSR-VTT; the videos of 1K-A are tested on, with one caption each, where their list is there."""

    name = "msr-vtt"
    precedence = 1
    sampling = Sampling(12, "fps", 1.0)  # CLIP4Clip's, MCLIP4VLA's and, as far as is known, MLA's

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether a folder holds any of the files above."""
        return Path(data).is_dir() and _place(Path(data)) is not None

    def clips(self) -> tuple[list[Clip], list[SkippedItem]]:
        """All videos of the lists."""
        place = _place(self.path)
        if place is None:
            hint = f"expected {_TEST}, {_DATA} or multilingual_test"
            raise DataError(f"{self.path} holds no lists of MSR-VTT", hint=hint)
        skipped: list[SkippedItem] = []
        tested = _tested(place, skipped)
        texts = _trained(place, skipped) | tested  # the one caption tested with replaces the twenty
        self.about = "Captions other than English are machine translations."
        if tested:
            self.about = f"One caption a video and language. {self.about}"
        if (place / _TEST).exists():
            self.about = f"MSR-VTT 1K-A. {self.about}"
        clips = []
        for name, split in _splits(place, texts, tested).items():
            by_lang = dict(sorted(texts[name].items(), key=lambda item: item[0] != "en"))
            clips.append(Clip(name, split, aligned_rows(by_lang), place))
        return clips, skipped

    def counts(self) -> dict[str, int]:
        """Count videos and sentences, the videos of CLIP4Clip's lists and of each language, and files."""
        counts: dict[str, int] = {}
        if (self.path / _DATA).is_file():
            counts["videos"] = len({video.get("video_id") for video in read_objects(self.path / _DATA, "videos")})
            counts["sentences"] = len(read_objects(self.path / _DATA, "sentences"))
        for name, what in _COUNTED.items():
            if (self.path / name).is_file():
                counts[what] = len({row["video_id"] for row in _table(self.path / name)})
        for path in sorted(self.path.glob("multilingual_test/test_*.json")):
            counts[f"test videos {path.stem.removeprefix('test_')}"] = len(_by_video(path))
        return self.count_files(counts)


def _splits(place: Path, names: Iterable[str], tested: Container[str]) -> dict[str, str]:
    """Return the split of each video: by the lists of 1K-A where they are, else as the owner's JSON says.

    A video that is in none of the lists is left out.
    """
    of_1k = (place / _TEST).exists()
    if of_1k:
        tested = {row["video_id"] for row in _table(place / _TEST)}
    lists = [place / name for name in _TRAIN if (place / name).exists()]
    trained = {row["video_id"] for row in _table(lists[0])} if lists else None
    videos = read_objects(place / _DATA, "videos") if (place / _DATA).exists() and not of_1k else []
    owners = {str(video.get("video_id")): _OWNERS_SPLITS.get(str(video.get("split")), "train") for video in videos}
    found = {}
    for name in names:
        if name in tested:
            found[name] = "test"
        elif trained is None or name in trained:
            found[name] = "train" if trained is not None else owners.get(name, "train")
    return found


def _tested(place: Path, skipped: list[SkippedItem]) -> _Captions:
    """Return the captions to test with: the first of each video and language."""
    found: _Captions = {}
    for lang, path in _files(place, "multilingual_test", skipped):
        for name, captions in _by_video(path).items():
            found.setdefault(name, {})[lang] = captions[:1]
    if (place / _TEST).exists():
        for row in _table(place / _TEST, "sentence"):
            found.setdefault(row["video_id"], {})["en"] = [row["sentence"]]
    return found


def _trained(place: Path, skipped: list[SkippedItem]) -> _Captions:
    """Return all captions of the owner's JSON, and those in other languages to train on."""
    found: _Captions = {}
    for entry in read_objects(place / _DATA, "sentences") if (place / _DATA).exists() else []:
        found.setdefault(str(entry.get("video_id")), {}).setdefault("en", []).append(str(entry.get("caption")))
    for lang, path in _files(place, "multilingual_train", skipped):
        for name, captions in _by_video(path).items():
            found.setdefault(name, {})[lang] = captions
    return found


def _place(folder: Path) -> Path | None:
    marks = (_TEST, _DATA, *_NINE)
    return next(
        (folder / place for place in _PLACES if any((folder / place / mark).exists() for mark in marks)), None
    )


def _files(place: Path, kind: str, skipped: list[SkippedItem]) -> Iterator[tuple[str, Path]]:
    """Yield language and file of the nine-language lists, English first."""
    folder, start = place / kind, _NINE[kind]
    found: list[tuple[str, Path]] = []
    for path in sorted(folder.glob(f"{start}*.json")) if folder.is_dir() else []:
        code = path.stem.removeprefix(start)
        if code == _ALL:  # also the code of a language of Kerala, which is not meant
            skipped.append(SkippedItem(str(path), None, "its captions do not say their languages"))
            continue
        try:
            found.append((known_language(code), path))
        except LanguageError as error:
            skipped.append(SkippedItem(str(path), None, error.message))
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
