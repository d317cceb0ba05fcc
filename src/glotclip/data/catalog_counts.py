"""What the catalogue counts where no layout of :mod:`glotclip.data.corpora` does: emoji, their parts, and videos."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from glotclip.data import cldr, emoji, pictures
from glotclip.data.corpora.layout import entries
from glotclip.data.encodings import read_text
from glotclip.errors import DataError
from glotclip.storage import read_json

_VIDEO_SUFFIXES = frozenset({".mp4", ".webm", ".mkv", ".avi"})
_MSRVTT_LISTS = {
    "MSRVTT_train.9k.csv": "train 9k videos",
    "MSRVTT_train.7k.csv": "train 7k videos",
    "MSRVTT_JSFUSION_test.csv": "test 1k-A videos",
}
_VATEX_PARTS = {
    "train": "vatex_training*.json",
    "validation": "vatex_validation*.json",
    "test": "vatex_public_test*.json",
}


def of_emoji(folder: Path | None) -> dict[str, int]:
    """Count concepts by split and the pictures of each vendor that is found."""
    counts = {"concepts": len(emoji.concepts()), "languages": len(emoji.languages(folder))}
    for split in ("train", "validation", "test"):
        counts[split] = sum(of == split for of in emoji.concepts().values())
    for vendor in (*emoji.TRAINING_VENDORS, emoji.HELD_OUT):
        if vendor in emoji.TRAINING_VENDORS or pictures.vendor_folder(vendor):
            counts[f"pictures by {vendor}"] = len(pictures.sources(vendor, emoji.concepts()))
    return counts


def of_cldr(folder: Path | None) -> dict[str, int]:
    """Count locales, and the concepts of the dataset emoji that have an English name."""
    found = cldr.find(folder)
    if found is None:
        raise DataError("no CLDR annotations found", hint="`glotclip data get cldr`, or set $GLOTCLIP_CLDR")
    locales = cldr.locales(found)
    names = {pictures.plain_id(pictures.code_points(sign)) for sign in cldr.names(found, "en")}
    named = sum(pictures.plain_id(concept) in names for concept in emoji.concepts())
    return {"locales": len(locales), "concepts with an English name": named}


def of_google(folder: Path | None) -> dict[str, int]:
    """Count the pictures of the held-out artist."""
    return {"pictures": len(pictures.sources(emoji.HELD_OUT, emoji.concepts(), folder=folder))}


def of_msrvtt(folder: Path | None) -> dict[str, int]:
    """Count MSR-VTT's videos and sentences, the videos of CLIP4Clip's lists and of each language, and files."""
    place = _named(folder, "msr-vtt")
    counts: dict[str, int] = {}
    annotations = place / "MSRVTT_data.json"
    if annotations.is_file():
        counts["videos"] = len({video.get("video_id") for video in entries(annotations, "videos")})
        counts["sentences"] = len(entries(annotations, "sentences"))
    for name, what in _MSRVTT_LISTS.items():
        if (place / name).is_file():
            rows = csv.DictReader(io.StringIO(read_text(place / name), newline=""))
            counts[what] = len({row.get("video_id") for row in rows})
    for path in sorted(place.glob("multilingual_test/test_*.json")):
        captions = read_json(path)
        counts[f"test videos {path.stem.removeprefix('test_')}"] = len(captions) if isinstance(captions, dict) else 0
    return _with_videos(counts, place, "MSRVTT_data.json and CLIP4Clip's MSRVTT_*.csv")


def of_vatex(folder: Path | None) -> dict[str, int]:
    """Count the videos and captions of VATEX's JSON files, and video files."""
    place = _named(folder, "vatex")
    counts: dict[str, int] = {}
    for split, pattern in _VATEX_PARTS.items():
        path = next(iter(sorted(place.glob(pattern))), None)
        if path is None:
            continue
        items = entries(path)
        counts[f"{split} videos"] = len({item.get("videoID") for item in items})
        for field, lang in (("enCap", "en"), ("chCap", "zh")):
            captions = [item[field] for item in items if isinstance(item.get(field), list)]
            if captions:
                counts[f"{split} captions {lang}"] = sum(map(len, captions))
    return _with_videos(counts, place, "vatex_training_v1.0.json, vatex_validation_v1.0.json, …")


def _named(folder: Path | None, name: str) -> Path:
    if folder is None:
        raise DataError(f"{name} lies in no place known by itself", hint=f"name it: `glotclip data check {name} DIR`")
    return folder


def _with_videos(counts: dict[str, int], place: Path, needs: str) -> dict[str, int]:
    if not counts:
        raise DataError(f"{place} holds no annotations that are known", hint=f"expected {needs}")
    videos = sum(path.suffix.lower() in _VIDEO_SUFFIXES for path in place.rglob("*"))
    return counts | ({"video files": videos} if videos else {})
