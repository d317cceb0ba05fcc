"""Multi30K task 1 as its authors lay it out: line-aligned ``SPLIT.LANG.gz`` beside the names of the pictures."""

from __future__ import annotations

from pathlib import Path

from glotclip.data.readers import collect, finish, read_text
from glotclip.data.schema import BadRow, Corpus, Row
from glotclip.errors import DataError

LICENCE = "Multi30K: research use; Flickr30K's pictures: Flickr's terms"
# Our split → the names its files go by.
_SPLITS = {"train": ("train",), "validation": ("val",), "test": ("test_2016_flickr", "test_2016", "test")}


def read(folder: Path, *, images: Path | None = None) -> Corpus:
    """Read all languages and splits in ``folder``; rows of one line have one group, the picture's name.

    Args:
        folder: holds ``{train,val,test_2016_flickr}.{en,de,…}[.gz]`` and ``*.images.txt[.gz]``.
        images: the folder of Flickr30K's pictures; ``None``: rows are text alone.

    Raises:
        DataError: if there are no such files, or files of a split differ in their number of lines.
    """
    rows: list[Row] = []
    bad: list[BadRow] = []
    for split, files in _find(folder).items():
        names = _lines(files.pop("images")) if "images" in files else None
        for lang, path in files.items():
            captions = _lines(path)
            if names is not None and len(captions) != len(names):
                raise DataError(
                    f"{path} has {len(captions)} lines, but there are {len(names)} pictures",
                    hint="the files of a split must be line-aligned; fetch them anew",
                )
            groups = names or [f"{split}-{line}" for line in range(len(captions))]
            found = [
                (
                    line,
                    {"text": text, "lang": lang, "split": split, "group": group, "image": group if images else None},
                )
                for line, (text, group) in enumerate(zip(captions, groups, strict=True), start=1)
            ]
            good, wrong = collect(found, where=str(path), default_lang=None, root=images or folder)
            rows += good
            bad += wrong
    return Corpus("multi30k", finish(rows), tuple(bad), licence=LICENCE)


def check(folder: Path) -> dict[str, int]:
    """Count the captions of each split and language (``train.de``)."""
    return {
        f"{split}.{lang}": len(_lines(path)) for split, files in _find(folder).items() for lang, path in files.items()
    }


def _find(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the files of each split by language, and under ``images`` the list of picture names."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        stem, _, what = path.name.removesuffix(".gz").removesuffix(".txt").rpartition(".")
        for split, names in _SPLITS.items():
            if stem in names and what:
                found.setdefault(split, {}).setdefault(what, path)
    if not found:
        raise DataError(
            f"{folder} holds no files of Multi30K's task 1",
            hint="expected train.en.gz, train.de.gz, … and train.images.txt (also packed)",
        )
    return {split: found[split] for split in _SPLITS if split in found}


def _lines(path: Path) -> list[str]:
    return read_text(path).removesuffix("\n").split("\n")
