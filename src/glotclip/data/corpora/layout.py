"""What every corpus of the field has in common: languages, captions found in files, pictures in a folder.

A layout says how one dataset's owner lays its files out. Its only real work is :meth:`Layout.captions`, which
yields one language's captions as they stand in the files; reading, checking and counting are the same for all.
Only the languages asked for are ever opened, so a corpus of 36 languages is read one at a time.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from glotclip import image_formats
from glotclip.data.encodings import read_text
from glotclip.data.schema import Corpus, Row, SkippedItem, check_row
from glotclip.errors import DataError, LanguageError
from glotclip.languages import normalise_all
from glotclip.storage import read_json

#: A caption as it stands in a file: the file, the line in it, and the unchecked row or why there is none. The
#: row's picture is a path below the pictures' folder, which may not be there.
Located = tuple[str, int | None, Row | str]


class Layout(ABC):
    """How the files of one dataset lie in a folder.

    Attributes:
        name: what the catalogue calls the dataset.
        licence: terms of use.
        needs: the files that make the layout, in words, for the message when they are not there.
        picture_places: where pictures are looked for by themselves, relative to the folder.
        keeps_text: whether a caption stays as text alone when its picture is missing from a folder of pictures.
    """

    name: ClassVar[str]
    licence: ClassVar[str]
    needs: ClassVar[str]
    picture_places: ClassVar[tuple[str, ...]] = ()
    keeps_text: ClassVar[bool] = False

    @abstractmethod
    def languages(self, folder: Path) -> list[str]:
        """Codes there are captions in; none if the folder is not laid out this way. Opens no large file."""

    @abstractmethod
    def captions(self, folder: Path, lang: str) -> Iterator[Located]:
        """Yield the captions of one of :meth:`languages`, in the order of the files."""

    def provenance(self, folder: Path, langs: Sequence[str]) -> Mapping[str, str]:
        """Say where machine text came from, by language or by field of the rows."""
        del folder, langs
        return {}

    def recognises(self, path: Path) -> bool:
        """Whether a folder is laid out this way."""
        return path.is_dir() and bool(self.languages(path))

    def read(self, folder: Path, langs: Sequence[str] | None = None, *, images: Path | None = None) -> Corpus:
        """Read the captions in ``langs`` (``None``: all); captions of one picture share a group.

        Args:
            folder: as the dataset's owner lays it out.
            langs: the only languages that are opened, English aside, which fills :attr:`Row.english`.
            images: the folder of pictures; ``None``: where it is found beside the captions, else rows are text
                alone. A picture missing from that folder is listed in ``bad``.

        Raises:
            DataError: if the folder or the pictures' folder is not there, or files do not fit together.
            LanguageError: if there are no captions in one of ``langs``.
        """
        wanted = self._wanted(folder, langs)
        pictures = self.pictures(folder, images)
        rows: list[Row] = []
        bad: list[SkippedItem] = []
        missing: set[Path] = set()
        for lang in wanted:
            for where, line, found in self.captions(folder, lang):
                if isinstance(found, str):
                    bad.append(SkippedItem(where, line, found))
                    continue
                try:
                    # The picture is looked up once in a listing: asking the disk for each caption is slow.
                    row = check_row(replace(found, image=None))
                    image, there = pictures.find(found.image)
                except DataError as error:
                    bad.append(SkippedItem(where, line, error.message))
                    continue
                if there:
                    rows.append(row if image is None else replace(row, image=image))
                elif self.keeps_text:
                    rows.append(row)
                    missing.add(Path(found.image or ""))
                else:
                    bad.append(SkippedItem(where, line, f"the picture {found.image} does not exist"))
        if missing:
            bad.append(
                SkippedItem(str(folder), None, f"{len(missing)} pictures are missing; their captions stay as text")
            )
        return Corpus(
            self.name, tuple(rows), tuple(bad), licence=self.licence, provenance=self.provenance(folder, wanted)
        )

    def counts(self, folder: Path) -> dict[str, int]:
        """Count captions and the pictures they describe, by split and language and in all, and the pictures on disk.

        Raises:
            DataError: if the folder is not laid out this way.
        """
        counts: dict[str, int] = {}
        langs = self._wanted(folder, None)
        everything: set[str] = set()
        named: set[Path] = set()
        unusable = 0
        for lang in langs:
            captions: dict[str, int] = {}
            groups: dict[str, set[str]] = {}
            for _, _, found in self.captions(folder, lang):
                if isinstance(found, str):
                    unusable += 1
                    continue
                captions[found.split] = captions.get(found.split, 0) + 1
                if found.group is not None:
                    groups.setdefault(found.split, set()).add(found.group)
                if found.image is not None:
                    named.add(found.image)
            for split, count in captions.items():
                counts[f"{split} captions {lang}"] = count
                counts[f"{split} images {lang}"] = len(groups.get(split, ()))
            everything.update(*groups.values())
        totals = {"languages": len(langs), "captions": sum(counts[name] for name in counts if " captions " in name)}
        totals |= {"images": len(everything), "lines that cannot be used": unusable}
        return totals | counts | self._on_disk(folder, named)

    def _on_disk(self, folder: Path, named: Iterable[Path]) -> dict[str, int]:
        """Count the named pictures that are there, if any is."""
        pictures = self.pictures(folder, None)
        answers = [pictures.find(name) for name in named]
        there = sum(path is not None for path, _ in answers)
        missing = sum(not well for _, well in answers)
        return {"pictures": there, "missing pictures": missing} if there else {}

    def pictures(self, folder: Path, images: Path | None) -> Pictures:
        """Return the pictures in ``images``, or in the first of the usual places."""
        if images is None:
            return Pictures([folder / place for place in self.picture_places])
        if not images.is_dir():
            raise DataError(f"{images} is not a folder", hint="name the folder of the pictures, or leave it out")
        return Pictures([images], flat=True)

    def _wanted(self, folder: Path, langs: Sequence[str] | None) -> list[str]:
        have = self.languages(folder) if folder.is_dir() else []
        if not have:
            raise DataError(f"{folder} holds no files of {self.name}", hint=f"expected {self.needs}")
        wanted = have if langs is None else normalise_all(langs)
        if missing := [code for code in wanted if code not in have]:
            raise LanguageError(
                f"{folder} has no captions in {', '.join(missing)}", hint=f"it has: {', '.join(have)}"
            )
        return wanted


class Pictures:
    """Pictures below some folders, each folder listed once.

    Args:
        roots: folders that pictures' relative paths start from, the best first.
        flat: whether the roots were named by a user. Pictures may then also lie in a root itself, without the
            folders of their paths, and one that is in none of them is missing.
    """

    def __init__(self, roots: Sequence[Path], *, flat: bool = False) -> None:
        self._roots = roots
        self._flat = flat
        self._listed: dict[Path, tuple[Path, frozenset[str]] | None] = {}
        self._paths: dict[Path, Path] = {}

    def find(self, picture: Path | None) -> tuple[Path | None, bool]:
        """Return the picture's absolute path, and whether all is well.

        Without a folder for it, that is ``(None, True)``: rows are text alone. ``(None, False)`` means that there
        is a folder, or that one was named, but not this picture in it.
        """
        if picture is None:
            return None, True
        if picture in self._paths:
            return self._paths[picture], True
        parent = picture.parent
        if parent not in self._listed:
            self._listed[parent] = self._list(parent)
        listed = self._listed[parent]
        if listed is None:
            return None, not self._flat
        folder, names = listed
        if picture.name not in names:
            return None, False
        return self._paths.setdefault(picture, folder / picture.name), True

    def _list(self, parent: Path) -> tuple[Path, frozenset[str]] | None:
        """List the first folder for ``parent`` that holds pictures."""
        places = [root / parent for root in self._roots]
        if self._flat:
            places += self._roots
        for place in places:
            if place.is_dir():
                names = frozenset(entry.name for entry in os.scandir(place))
                if any(Path(name).suffix.lower() in image_formats.suffixes() for name in names):
                    return place.absolute(), names
        return None


def first(folder: Path, names: Iterable[str]) -> Path | None:
    """Return the first of ``names`` that is a file below ``folder``, plain or with ``.gz``."""
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def lines_of(path: Path) -> list[str]:
    """Return a file's lines; the last may or may not end in a line break."""
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]


def entries(path: Path, key: str | None = None) -> list[dict[str, Any]]:
    """Return the objects of a JSON array, or of the array under ``key``.

    Raises:
        DataError: if the file is damaged or of another shape.
    """
    content = read_json(path)
    if key is not None:
        content = content.get(key) if isinstance(content, dict) else None
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        what = f'an object with an array "{key}"' if key else "an array of objects"
        raise DataError(f"{path} is not {what}", hint="fetch the file anew from its owner")
    return content


def check_aligned(path: Path, texts: list[str], names: list[str] | None, english: list[str] | None) -> None:
    """Raise :class:`DataError` unless a file of captions has a line for each picture and each English caption."""
    for other, what in ((names, "pictures"), (english, "English captions")):
        if other is not None and len(texts) != len(other):
            raise DataError(
                f"{path} has {len(texts)} lines, but there are {len(other)} {what}",
                hint="the files of a split must be line-aligned; fetch them anew",
            )
