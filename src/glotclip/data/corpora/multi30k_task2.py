"""Multi30K task 2: five captions a picture in English and five in German, written independently of one another.

The owner's layout is ``data/task2/raw/SPLIT.K.LANG.gz`` for K = 1 … 5, and ``data/task2/image_splits``. The captions
are no translations, so rows have no English counterpart: they serve pictures, not parallel text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glotclip.data.corpora.layout import Layout, Located, first, lines_of
from glotclip.data.corpora.multi30k import LICENCE, PICTURE_PLACES
from glotclip.data.schema import Row, known_language
from glotclip.errors import DataError, LanguageError

_SPLITS = {"train": ("train",), "validation": ("val",), "test": ("test_2016", "test_2016_flickr")}
_PLACES = ("", "raw", "task2/raw", "data/task2/raw")
_NUMBERS = "12345"


class Multi30KTask2(Layout):
    """Task 2; a row's group is the picture's name."""

    name = "multi30k-task2"
    licence = LICENCE
    needs = "train.1.en.gz … train.5.de.gz, or Multi30K's data/task2"
    picture_places = PICTURE_PLACES

    def languages(self, folder: Path) -> list[str]:
        """Those with a first caption in any split."""
        codes = {lang for _, number, lang, _ in _files(folder) if number == "1"}
        return sorted(codes, key=lambda code: (code != "en", code))

    def captions(self, folder: Path, lang: str) -> Iterator[Located]:
        """All first captions, then all second ones, split by split."""
        files = {(split, number): path for split, number, code, path in _files(folder) if code == lang}
        for split in _SPLITS:
            if not any(of == split for of, _ in files):
                continue
            names = _picture_names(folder, split)
            for number in _NUMBERS:
                path = files.get((split, number))
                if path is None:
                    yield str(folder), None, f"caption {number} of split {split} in {lang} is not there"
                    continue
                texts = lines_of(path)
                if names is not None and len(names) != len(texts):
                    raise DataError(
                        f"{path} has {len(texts)} lines, but there are {len(names)} pictures",
                        hint="the files of a split must be line-aligned; fetch them anew",
                    )
                for index, text in enumerate(texts):
                    name = names[index] if names else None
                    group = name or f"{split}-{index}"
                    row = Row(text, lang, image=Path(name) if name else None, split=split, group=group)
                    yield str(path), index + 1, row


def _files(folder: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Yield (split, number, language, file)."""
    place = _place(folder)
    for path in sorted(place.iterdir()) if place else []:
        parts = path.name.removesuffix(".gz").split(".")
        for split, names in _SPLITS.items():
            if len(parts) == 3 and parts[0] in names and parts[1] in _NUMBERS:
                try:
                    yield split, parts[1], known_language(parts[2]), path
                except LanguageError:
                    continue  # another file of that name, not a language


def _place(folder: Path) -> Path | None:
    marks = [f"{name}.1.en" for names in _SPLITS.values() for name in names]
    return next((folder / place for place in _PLACES if first(folder / place, marks)), None)


def _picture_names(folder: Path, split: str) -> list[str] | None:
    place = _place(folder)
    if place is None:
        return None
    names = [f"{name}{ending}" for name in _SPLITS[split] for ending in ("_images.txt", ".txt", ".images.txt")]
    path = first(place.parent / "image_splits", names) or first(place, names)
    return None if path is None else [line.strip() for line in lines_of(path)]


MULTI30K_TASK2 = Multi30KTask2()
