"""What every corpus of the field has in common: languages, captions found in files, images in a folder.

A corpus says how its owner lays its files out. Its only real work is :meth:`CorpusFolder.captions`, which yields one
language's captions as they stand in the files; reading, checking and counting are the same for all. Only the
languages asked for are ever opened, so a corpus of 36 languages is read one at a time. Name, licence and files are
those of its entry in ``catalog.toml``.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from glotclip import image_formats
from glotclip.data import catalog
from glotclip.data.benchmark import Benchmark
from glotclip.data.dataset import PathDataset, held_out_of
from glotclip.data.parallel import Text
from glotclip.data.schema import Corpus, Row, SkippedItem, check_row, check_share
from glotclip.data.serving import no_captions, serve, servers
from glotclip.errors import DataError
from glotclip.languages import normalise_all

#: A caption as it stands in a file: the file, the line in it, and the unchecked row or why there is none. The
#: row's image is a path below the images' folder, which may not be there.
Located = tuple[str, int | None, Row | str]


class CorpusFolder(PathDataset):
    """A corpus in a folder as its owner lays it out.

    Attributes:
        name: what the catalogue calls the dataset.
        image_places: where images are looked for by themselves, relative to the folder.
        keeps_text: whether a caption stays as text alone when its image is missing from a folder of images.
    """

    name: str
    image_places: ClassVar[tuple[str, ...]] = ()
    keeps_text: ClassVar[bool] = False
    no_use_for = ("default_lang", "encoding", "hold_out")
    no_use_since = "is laid out as {name}"

    @abstractmethod
    def languages(self) -> list[str]:
        """Codes there are captions in; none if the folder is not laid out this way. Opens no large file."""

    @abstractmethod
    def captions(self, lang: str) -> Iterator[Located]:
        """Yield the captions of one of :meth:`languages`, in the order of the files."""

    def provenance(self, langs: Sequence[str]) -> Mapping[str, str]:
        """Say where machine text came from, by language or by field of the rows."""
        del langs
        return {}

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether a folder is laid out this way."""
        return Path(data).is_dir() and bool(cls(Path(data)).languages())

    def read(self, langs: Sequence[str] | None = None) -> Corpus:
        """Read the captions in ``langs`` (``None``: all); captions of one image share a group.

        No other language's files are opened, English aside, which fills :attr:`Row.english`. Images are those of the
        folder that the options name, else those found beside the captions, else rows are text alone; an image
        missing from that folder is listed in ``skipped``.

        Raises:
            DataError: if the folder or the images' folder is not there, or files do not fit together.
            LanguageError: if there are no captions in one of ``langs``.
        """
        wanted = self._wanted(langs)
        images = self.images()
        rows: list[Row] = []
        skipped: list[SkippedItem] = []
        missing: set[Path] = set()
        for where, line, found in (each for lang in wanted for each in self.captions(lang)):
            if isinstance(found, str):
                skipped.append(SkippedItem(where, line, found))
                continue
            try:
                # The image is looked up once in a listing: asking the disk for each caption is slow.
                row = check_row(replace(found, image=None))
                image, there = images.find(found.image)
            except DataError as error:
                skipped.append(SkippedItem(where, line, error.message))
                continue
            if there:
                rows.append(row if image is None else replace(row, image=image))
            elif self.keeps_text:
                rows.append(row)
                missing.add(Path(found.image or ""))
            else:
                skipped.append(SkippedItem(where, line, f"the image {found.image} does not exist"))
        if missing:
            reason = f"{len(missing)} images are missing; their captions stay as text"
            skipped.append(SkippedItem(str(self.path), None, reason))
        licence = catalog.dataset(self.name).licence
        return Corpus(self.name, tuple(rows), tuple(skipped), licence, self.provenance(wanted))

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The captions in ``langs``, and in no others."""
        found = servers(langs, self.languages())
        corpus = self.read(list(dict.fromkeys(found.get(code, code) for code in langs)))
        check_share(corpus, self.options.max_skipped)
        return serve(corpus, langs)

    def notes(self, langs: Sequence[str]) -> tuple[str, ...]:
        """Nothing: its owner has looked at it, and reading it for this alone would take long."""
        del langs
        return ()

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The rows of split "test" that have images, or of "validation" if there are none."""
        return held_out_of(self.corpus(list(servers(langs, self.languages()))), langs)

    def counts(self) -> dict[str, int]:
        """Count captions and the images they describe, by split and language and in all, and the images on disk.

        Raises:
            DataError: if the folder is not laid out this way.
        """
        counts: dict[str, int] = {}
        langs = self._wanted(None)
        everything: set[str] = set()
        named: set[Path] = set()
        unusable = 0
        for lang in langs:
            captions: dict[str, int] = {}
            groups: dict[str, set[str]] = {}
            for _, _, found in self.captions(lang):
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
        answers = list(map(self.images().find, named))
        if there := sum(path is not None for path, _ in answers):
            totals |= {"image files": there, "missing image files": sum(not well for _, well in answers)}
        return totals | counts

    def parallel_texts(self, limit: int | None = None) -> Iterable[Text]:
        """Yield the captions of each language and split, at most the first ``limit`` of each.

        One language is in memory at a time. A line that cannot be used stays as an empty one, or all that follow
        would slip out of line with the other languages.
        """
        for lang in self.languages():
            lines: dict[str, list[str]] = {}
            split = "train"
            for _, line, found in self.captions(lang):
                if isinstance(found, Row):
                    split, text = found.split, found.text
                elif line is not None:
                    text = ""
                else:
                    continue  # a file as a whole
                texts = lines.setdefault(split, [])
                if limit is None or len(texts) < limit:
                    texts.append(text)
            for split, texts in lines.items():
                yield Text(f"{self.name} {split} {lang}", split, lang, texts)

    def images(self) -> ImageFolders:
        """Return the images in the folder that the options name, or in the first of the usual places."""
        folder = self.options.folder
        if folder is None:
            return ImageFolders([self.path / place for place in self.image_places])
        return ImageFolders([folder], flat=True)

    def _wanted(self, langs: Sequence[str] | None) -> list[str]:
        have = self.languages() if self.path.is_dir() else []
        if not have:
            expected = catalog.dataset(self.name).files
            raise DataError(f"{self.path} holds no files of {self.name}", hint=f"expected {expected}")
        wanted = have if langs is None else normalise_all(langs)
        if missing := [code for code in wanted if code not in have]:
            raise no_captions(self.path, missing, have)
        return wanted


class ImageFolders:
    """Images below some folders, each folder listed once.

    Args:
        roots: folders that images' relative paths start from, the best first.
        flat: whether the roots were named by a user. Images may then also lie in a root itself, without the
            folders of their paths, and one that is in none of them is missing.
    """

    def __init__(self, roots: Sequence[Path], *, flat: bool = False) -> None:
        self._roots = roots
        self._flat = flat
        self._listed: dict[Path, tuple[Path, frozenset[str]] | None] = {}
        self._paths: dict[Path, Path] = {}

    def find(self, image: Path | None) -> tuple[Path | None, bool]:
        """Return the image's absolute path, and whether all is well.

        Without a folder for it, that is ``(None, True)``: rows are text alone. ``(None, False)`` means that there
        is a folder, or that one was named, but not this image in it.
        """
        if image is None:
            return None, True
        if image in self._paths:
            return self._paths[image], True
        parent = image.parent
        if parent not in self._listed:
            self._listed[parent] = self._list(parent)
        listed = self._listed[parent]
        if listed is None:
            return None, not self._flat
        folder, names = listed
        if image.name not in names:
            return None, False
        return self._paths.setdefault(image, folder / image.name), True

    def _list(self, parent: Path) -> tuple[Path, frozenset[str]] | None:
        """List the first folder for ``parent`` that holds images."""
        for place in (*(root / parent for root in self._roots), *(self._roots if self._flat else ())):
            if place.is_dir():
                names = frozenset(entry.name for entry in os.scandir(place))
                if any(Path(name).suffix.lower() in image_formats.suffixes() for name in names):
                    return place.absolute(), names
        return None


def english_first(codes: Iterable[str]) -> list[str]:
    """Return language codes in order, English first."""
    return sorted(set(codes), key=lambda code: (code != "en", code))


def check_aligned(path: Path, texts: list[str], names: list[str] | None, english: list[str] | None = None) -> None:
    """Raise :class:`DataError` unless a file of captions has a line for each image and each English caption."""
    for other, what in ((names, "images"), (english, "English captions")):
        if other is not None and len(texts) != len(other):
            raise DataError(
                f"{path} has {len(texts)} lines, but there are {len(other)} {what}",
                hint="the files of a split must be line-aligned; fetch them anew",
            )
