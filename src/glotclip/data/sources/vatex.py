"""VATEX as its authors release it: JSON arrays of ``{"videoID", "enCap": […], "chCap": […]}``, one file a split.

A clip's id is the YouTube id and the first and last second (``Ptf_2VRj-V0_000122_000132``); its file is called so
too. Ten English and ten Chinese captions a clip, by people; the last five of each are translations of one another,
the first five are not, so only the last five Chinese ones have an English counterpart.

Retrieval papers divide the validation clips anew (Chen et al., HGR: 25,991 / 1,500 / 1,500): ``train_list.txt``,
``val_list.txt`` and ``test_list.txt`` with one id a line (or ``.json``, arrays) overrule the names of the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glotclip.data.dataset import register
from glotclip.data.encodings import read_objects, read_text
from glotclip.data.schema import Row, SkippedItem
from glotclip.data.video_corpus import Clip, VideoCorpus
from glotclip.errors import DataError
from glotclip.storage import read_json

_LANGUAGES = {"enCap": "en", "chCap": "zh"}
_PAIRED = 5  # captions at the end of the ten that are translations of one another
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_COUNTED = {"train": "training", "validation": "validation", "test": "public_test"}
_LISTS = ("train_list", "val_list", "test_list")


@register
class Vatex(VideoCorpus):
    """VATEX, as a folder of its files or one of them."""

    name = "vatex"
    precedence = 1
    about = "Captions by people, in both languages."

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether a folder holds ``vatex_….json``, or a file is one."""
        return bool(_files(Path(data)))

    def clips(self) -> tuple[list[Clip], list[SkippedItem]]:
        """All clips of the files."""
        files = _files(self.path)
        if not files:
            raise DataError(
                f"{self.path} holds no vatex_….json", hint="expected vatex_training_v1.0.json and its like"
            )
        split_of = _lists(self.path if self.path.is_dir() else self.path.parent)
        clips = [clip for file in files for clip in _clips(file, split_of)]
        if not any(clip.captions for clip in clips):
            hint = "the private test split is released without any"
            raise DataError(f"{self.path} holds no captions", hint=hint)
        return clips, []

    def counts(self) -> dict[str, int]:
        """Count the clips and captions of the files, and video files."""
        counts: dict[str, int] = {}
        for split, name in _COUNTED.items():
            path = next(iter(sorted(self.path.glob(f"vatex_{name}*.json"))), None)
            items = read_objects(path) if path else []
            if path:
                counts[f"{split} videos"] = len({item.get("videoID") for item in items})
            for field, lang in _LANGUAGES.items():
                captions = [item[field] for item in items if isinstance(item.get(field), list)]
                if captions:
                    counts[f"{split} captions {lang}"] = sum(map(len, captions))
        return self.count_files(counts)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.glob("vatex_*.json") if file.stem not in _LISTS)
    return [path] if path.name.startswith("vatex_") and path.suffix == ".json" else []


def _clips(file: Path, split_of: dict[str, str]) -> Iterator[Clip]:
    content = read_objects(file)
    if not all("videoID" in entry for entry in content):
        raise DataError(f'{file} is not an array of objects with "videoID"', hint="fetch the file anew")
    by_name = next((split for mark, split in _SPLITS.items() if mark in file.stem), "train")
    for entry in content:
        name = str(entry["videoID"])
        yield Clip(name, split_of.get(name, by_name), _captions(entry, file), file)


def _captions(entry: dict[str, Any], file: Path) -> list[Row]:
    captions = {lang: entry.get(key) or [] for key, lang in _LANGUAGES.items()}
    for lang, texts in captions.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{file}: {entry['videoID']} has {lang} captions that are no texts", hint="fetch it anew")
    english, chinese = captions["en"], captions["zh"]
    first = max(len(english), len(chinese)) - _PAIRED if len(english) == len(chinese) else len(chinese)
    return [
        *(Row(text, "en") for text in english),
        *(Row(text, "zh", english=english[place] if place >= first else None) for place, text in enumerate(chinese)),
    ]


def _lists(folder: Path) -> dict[str, str]:
    """Return the split of each clip that a list names."""
    found: dict[str, str] = {}
    for name, split in zip(_LISTS, _SPLITS.values(), strict=True):
        if (folder / f"{name}.txt").exists():
            lines = read_text(folder / f"{name}.txt").split()
            found |= dict.fromkeys(lines, split)
        elif (folder / f"{name}.json").exists():
            ids = read_json(folder / f"{name}.json")
            if not isinstance(ids, list):
                raise DataError(f"{folder / name}.json is not an array of ids", hint="write one id a line in a .txt")
            found |= dict.fromkeys(map(str, ids), split)
    return found
