"""Data as a user names it: ``emoji``, a caption file, a folder of images, a corpus of the field.

Every kind is a :class:`Dataset` in a file of its own in :mod:`glotclip.data.sources`, found by its decorator
:func:`register`. To add a corpus: one such file, its entry in ``catalog.toml``, and its test.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self, TypeVar, Unpack

from glotclip.data import benchmark as benchmarks
from glotclip.data import catalog
from glotclip.data.benchmark import Benchmark
from glotclip.data.licences import OWN, Licence
from glotclip.data.likely_mistakes import likely_mistakes
from glotclip.data.parallel import Text
from glotclip.data.reading import Reading, ReadingOptions
from glotclip.data.schema import Corpus
from glotclip.data.serving import no_captions, serve, served, servers
from glotclip.errors import DataError, did_you_mean

HELD_OUT_SPLITS = ("test", "validation")


class Dataset(ABC):
    """Training captions and a benchmark under one name.

    Attributes:
        name: what results call it, and the catalogue, if it is there.
        precedence: of several kinds that recognise some data, the one with the highest reads it.
        no_use_for: options of :class:`~glotclip.data.reading.ReadingOptions` that mean nothing here, and
        no_use_since: why, as the end of a sentence that begins with the data.
    """

    name: str
    precedence: ClassVar[int] = 0
    no_use_for: ClassVar[tuple[str, ...]] = ()
    no_use_since: ClassVar[str] = ""

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether data that a user named is of this kind. Opens no large file."""
        del data
        return False

    @classmethod
    def open(cls, data: str, options: ReadingOptions) -> Self:
        """Open data of this kind."""
        raise NotImplementedError

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files and folders it is read from, which nothing may be written over or into."""
        return ()

    @abstractmethod
    def languages(self) -> list[str]:
        """The languages there are captions in."""

    @abstractmethod
    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The captions in ``langs``, all splits; a language without any is an error."""

    @abstractmethod
    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """A benchmark of rows that are never trained on, in those of ``langs`` that have any; None without such."""

    def notes(self, langs: Sequence[str]) -> tuple[str, ...]:
        """What a reader should be told once of the captions in ``langs``, warnings included."""
        del langs
        return ()

    def licences(self, langs: Sequence[str]) -> tuple[Licence, ...]:
        """The terms of the texts in ``langs``, source by source: as the catalogue says, else a user's own."""
        del langs
        entry = catalog.datasets().get(self.name)
        if entry is None:
            return (Licence(self.name, OWN, str(next(iter(self.sources), self.name))),)
        return (Licence(self.name, entry.spdx or entry.licence, entry.source, entry.url),)

    def benchmark(self, langs: Sequence[str]) -> Benchmark:
        """The benchmark of held-out rows; that there is none is an error, and so is a language without captions."""
        found = self.held_out(langs)
        if found is None:
            have = self.languages()
            if langs and not servers(langs, have):
                raise no_captions(self.name, langs, have)
            raise DataError(
                f"{self.name} has no images in a split {' or '.join(HELD_OUT_SPLITS)}",
                hint="add a column 'split' with rows marked test, and a column 'image'; without a column 'split', "
                "--hold-out 1 tests on all rows",
            )
        return found

    def counts(self) -> dict[str, int]:
        """What is there, by name, to be compared with what its owner says (:func:`glotclip.data.catalog.compare`)."""
        raise NotImplementedError

    def parallel_texts(self, limit: int | None = None) -> Iterable[Text]:
        """Its texts for the checks of :mod:`glotclip.data.parallel`, at most the first ``limit`` of each."""
        del limit
        return ()


class PathDataset(Dataset):
    """A dataset in a file or folder.

    Args:
        path: the file or folder.
        options: how it is read.
    """

    def __init__(self, path: Path, options: ReadingOptions | None = None) -> None:
        self.path = path
        self.options = options or ReadingOptions()
        self.name = getattr(type(self), "name", "") or path.name or path.resolve().name

    @classmethod
    def open(cls, data: str, options: ReadingOptions) -> Self:
        """Open a file or folder of this kind."""
        since = cls.no_use_since.format(name=getattr(cls, "name", ""))
        options.refuse(f"{data}, which {since}", cls.no_use_for)
        return cls(Path(data), options)

    @property
    def sources(self) -> tuple[Path, ...]:
        """The file or folder, and the folder of images where one is named."""
        return (self.path,) if self.options.images is None else (self.path, Path(self.options.images))

    @abstractmethod
    def read(self) -> Corpus:
        """All captions as they stand in the files, however many cannot be used."""

    def rows(self) -> Corpus:
        """All captions, as they are trained on and measured."""
        return self.read()

    def languages(self) -> list[str]:
        """Codes that occur in it."""
        return self.rows().languages

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The rows of those languages, and of all others."""
        return served(self.rows(), langs, self.path)

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The rows of split "test" that have images or videos, or of "validation" if there are none."""
        return self.as_divided(held_out_of(self.rows(), langs))

    def notes(self, langs: Sequence[str]) -> tuple[str, ...]:
        """What was met while reading, and what looks like a mistake."""
        corpus = serve(self.rows(), langs)
        return (*corpus.notes, *likely_mistakes(corpus))

    def as_divided(self, benchmark: Benchmark | None) -> Benchmark | None:
        """Say in the protocol where it was not the data that chose what is tested on."""
        if benchmark is None or self.rows().divided:
            return benchmark
        share = f"a share of {self.options.hold_out:g} held out by glotclip, since no row says its split"
        return replace(benchmark, protocol=f"{benchmark.protocol}; {share}")


Kind = TypeVar("Kind", bound=type[Dataset])
_REGISTRY: list[type[Dataset]] = []


def register(kind: Kind) -> Kind:
    """Let :func:`open_dataset` find a kind of data: a decorator for its class."""
    _REGISTRY.append(kind)
    return kind


def registered() -> list[type[Dataset]]:
    """Return all kinds of data, those that take precedence first."""
    package = importlib.import_module("glotclip.data.sources")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return sorted(_REGISTRY, key=lambda kind: -kind.precedence)


def recognised(data: str | Path) -> type[Dataset] | None:
    """Return the kind of some data, or ``None`` if it is none."""
    return next((kind for kind in registered() if kind.recognises(str(data))), None)


def open_dataset(name: str | Path, **reading: Unpack[Reading]) -> Dataset:
    """Open ``emoji``, ``emoji-video`` (either with ``:VENDOR``) or ``freedict``, or a file or folder of any kind.

    Args:
        name: the name, or the path.
        reading: how data of one's own is read; see :class:`~glotclip.data.reading.ReadingOptions`.

    Raises:
        DataError: if there is neither such a name nor such a path.
        ConfigError: for an option that has no meaning for this data.
    """
    options = ReadingOptions(**reading)
    kind = recognised(name)
    if kind is None:
        guess = did_you_mean(str(name), ["emoji", "emoji-cldr", "emoji-video", "freedict"])
        raise DataError(
            f"there is no dataset and no file {str(name)!r}",
            hint=f"{guess}give 'emoji', 'emoji-video', 'freedict', or a CSV, TSV, JSONL file or a folder",
        )
    return kind.open(str(name), options)


def open_catalogued(name: str, folder: Path | None) -> Dataset:
    """Open a dataset by its name in the catalogue, in the folder where it lies.

    Raises:
        DataError: if there is no such dataset, or it needs a folder, or takes none.
    """
    entry = catalog.dataset(name)
    if entry.opened_as and folder is not None:
        hint = "leave the folder out; $GLOTCLIP_EMOJI_VENDORS names folders of images"
        raise DataError(f"{name} is found by itself, not in {folder}", hint=hint)
    if entry.opened_as:
        return open_dataset(entry.opened_as)
    if folder is None:
        hint = f"name it: `glotclip data check {name} DIR`; get it from: {entry.source}"
        raise DataError(f"{name} lies in no place known by itself", hint=hint)
    kind = next(kind for kind in registered() if name in (getattr(kind, "name", ""), getattr(kind, "prefix", "")))
    if getattr(kind, "prefix", "") and not kind.recognises(str(folder)):
        raise DataError(f"{folder} holds no files of {name}", hint=f"expected {entry.files}")
    return kind.open(str(folder), ReadingOptions())


def held_out_of(corpus: Corpus, langs: Sequence[str]) -> Benchmark | None:
    """A benchmark of a corpus's rows of split "test", or of "validation" if no test row has an image or video."""
    for split in HELD_OUT_SPLITS:
        rows = serve(corpus.select(split=split), langs).rows
        chosen = tuple(row for row in rows if row.lang in langs)
        if any(row.image is not None or row.video is not None for row in chosen):
            return benchmarks.from_corpus(replace(corpus, rows=chosen, skipped=()), split=split)
    return None
