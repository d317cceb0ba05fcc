"""A dataset as a user names it: ``emoji``, or a caption file or folder of their own."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TypedDict, Unpack

from glotclip.data import benchmark as benchmarks
from glotclip.data import emoji, motion, readers
from glotclip.data.benchmark import Benchmark
from glotclip.data.corpora import Layout, layout_of
from glotclip.data.defaults import HOLD_OUT, MAX_SKIPPED
from glotclip.data.holdout import check_hold_out, hold_out
from glotclip.data.oddities import oddities
from glotclip.data.schema import Corpus, check_share
from glotclip.data.serving import no_captions, serve, served, servers
from glotclip.data.videosets import ReadVideos, VideoSet, recognise
from glotclip.errors import ConfigError, DataError

HELD_OUT_SPLITS = ("test", "validation")


class Reading(TypedDict, total=False):
    """How data of one's own is read, as every function takes it that opens data by its name.

    ``images``: the folder of the pictures or videos, where they do not lie beside the captions.
    ``default_lang``: the language of captions that do not say theirs.
    ``encoding``: of caption files; by default as their byte-order mark says, else UTF-8.
    ``max_skipped``: the share of rows that may be unusable before the data is refused.
    ``hold_out``: the share of pictures held out for testing where no row says its split; 0 trains on all.
    """

    images: str | Path | None
    default_lang: str | None
    encoding: str | None
    max_skipped: float
    hold_out: float


@dataclass(frozen=True)
class ReadingOptions:
    """The same with defaults."""

    images: str | Path | None = None
    default_lang: str | None = None
    encoding: str | None = None
    max_skipped: float = MAX_SKIPPED
    hold_out: float = HOLD_OUT

    def __post_init__(self) -> None:
        check_hold_out(self.hold_out)

    @property
    def folder(self) -> Path | None:
        """The folder of pictures."""
        return None if self.images is None else Path(self.images)

    def refuse(self, what: str, *names: str) -> None:
        """Raise :class:`ConfigError` for the first of ``names`` that is given though ``what`` has no use for it."""
        for each in fields(self):
            if each.name in names and getattr(self, each.name) != each.default:
                option = f"--{each.name.replace('_', '-')}"
                raise ConfigError(
                    f"{option} has no meaning for {what}", hint=f"leave {option} out; it is for data of one's own"
                )


class Dataset(ABC):
    """Training captions and a benchmark under one name."""

    name: str

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files and folders it is read from, which nothing may be written over or into."""
        found = (getattr(self, name, None) for name in ("path", "images"))
        return tuple(path for path in found if isinstance(path, Path))

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

    def benchmark(self, langs: Sequence[str]) -> Benchmark:
        """The benchmark of held-out rows; that there is none is an error, and so is a language without captions."""
        found = self.held_out(langs)
        if found is None:
            have = self.languages()
            if langs and not servers(langs, have):
                raise no_captions(self.name, langs, have)
            raise DataError(
                f"{self.name} has no pictures in a split {' or '.join(HELD_OUT_SPLITS)}",
                hint="add a column 'split' with rows marked test, and a column 'image'; without a column 'split', "
                "--hold-out 1 tests on all rows",
            )
        return found


class EmojiDataset(Dataset):
    """The embedded dataset; see :mod:`glotclip.data.emoji`.

    Args:
        vendor: whose pictures form the benchmark's gallery.
        cldr: the folder of CLDR's annotations, where it is not found by itself.
        pictures: where further vendors' pictures lie.
    """

    name = "emoji"

    def __init__(self, vendor: str = "auto", cldr: Path | None = None, pictures: Path | None = None) -> None:
        self.vendor, self.cldr, self.pictures = vendor, cldr, pictures

    def languages(self) -> list[str]:
        """Codes with names."""
        return emoji.languages(self.cldr)

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """Names and pictures by the artists that are trained on."""
        return emoji.load(langs, cldr=self.cldr)

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """All concepts by one artist; the subsets tell seen and unseen concepts apart."""
        named = emoji.coverage(langs, self.cldr)  # by inheritance: de-AT has the names of de
        return emoji.benchmark(
            [code for code in langs if named[code] > 0],
            vendor=self.vendor,
            cldr=self.cldr,
            pictures_folder=self.pictures,
        )


class EmojiVideoDataset(Dataset):
    """Emoji in motion; see :mod:`glotclip.data.motion`.

    Args:
        vendor: ``fluent``, or whose pictures move in the benchmark.
    """

    name = motion.NAME

    def __init__(self, vendor: str = "auto") -> None:
        self.vendor = vendor

    def languages(self) -> list[str]:
        """Codes with names."""
        return emoji.languages()

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """Names and clips of pictures by the artists that are trained on."""
        return motion.load(langs)

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """Concepts in motion; the subsets tell seen and unseen concepts apart."""
        named = emoji.coverage(langs)
        return motion.benchmark([code for code in langs if named[code] > 0], vendor=self.vendor)


class OwnDataset(Dataset):
    """What files and folders that a user names have in common: a corpus, read once.

    Args:
        path: the file or folder.
        reading: how it is read.
    """

    def __init__(self, path: Path, **reading: Unpack[Reading]) -> None:
        self.path = path
        self.name = path.name or path.resolve().name
        self.options = ReadingOptions(**reading)

    @abstractmethod
    def rows(self) -> Corpus:
        """All captions."""

    def languages(self) -> list[str]:
        """Codes that occur in it."""
        return self.rows().languages

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The rows of those languages, and of all others."""
        return served(self.rows(), langs, self.path)

    def notes(self, langs: Sequence[str]) -> tuple[str, ...]:
        """What was met while reading, and what looks like a mistake."""
        corpus = serve(self.rows(), langs)
        return (*corpus.notes, *oddities(corpus))

    def _as_divided(self, benchmark: Benchmark | None) -> Benchmark | None:
        """Say in the protocol where it was not the data that chose what is tested on."""
        if benchmark is None or self.rows().divided:
            return benchmark
        share = f"a share of {self.options.hold_out:g} held out by glotclip, since no row says its split"
        return replace(benchmark, protocol=f"{benchmark.protocol}; {share}")


class FileDataset(OwnDataset):
    """A caption file, or a folder of pictures with sidecar captions (:mod:`glotclip.data.readers`)."""

    def rows(self) -> Corpus:
        """All captions, those held out for testing marked as such."""
        return self._rows

    @cached_property
    def _rows(self) -> Corpus:
        of = self.options
        corpus = readers.read(self.path, default_lang=of.default_lang, images=of.folder, encoding=of.encoding)
        check_share(corpus, of.max_skipped)
        if corpus.divided and of.hold_out not in (0, HOLD_OUT):
            unused = f"--hold-out {of.hold_out:g} is not used: the data says which rows are for testing"
            return replace(corpus, notes=(*corpus.notes, unused))
        home = self.path if self.path.is_dir() else self.path.parent
        return hold_out(corpus, of.hold_out, of.folder or home)

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The rows of split "test", or of "validation" if there are none."""
        return self._as_divided(held_out_of(self._rows, langs))


class CorpusDataset(Dataset):
    """A corpus of the field in a folder as its owner lays it out (:mod:`glotclip.data.corpora`).

    Args:
        path: the folder.
        layout: how it is laid out.
        images: the folder of pictures, where it is not beside the captions.
        max_skipped: the share of captions that may be unusable.
    """

    def __init__(
        self, path: Path, layout: Layout, images: Path | None = None, max_skipped: float = MAX_SKIPPED
    ) -> None:
        self.path, self.layout, self.images, self.max_skipped = path, layout, images, max_skipped
        self.name = layout.name

    def languages(self) -> list[str]:
        """Codes there are captions in."""
        return self.layout.languages(self.path)

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The captions in ``langs``; no other language's files are opened, English aside."""
        found = servers(langs, self.languages())
        opened = list(dict.fromkeys(found.get(code, code) for code in langs))
        corpus = self.layout.read(self.path, opened, images=self.images)
        check_share(corpus, self.max_skipped)
        return serve(corpus, langs)

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The rows of split "test" that have pictures, or of "validation" if there are none."""
        return held_out_of(self.corpus(list(servers(langs, self.languages()))), langs)


class VideoDataset(OwnDataset):
    """Captioned videos: MSR-VTT, VATEX, or a list of one's own (:mod:`glotclip.data.videosets`).

    Args:
        path: the file or folder.
        read: reads it.
        reading: how.
    """

    def __init__(self, path: Path, read: ReadVideos, **reading: Unpack[Reading]) -> None:
        super().__init__(path, **reading)
        self._read = read

    @cached_property
    def _set(self) -> VideoSet:
        return self._read(self.path, self.options.folder, hold_out=self.options.hold_out)

    def rows(self) -> Corpus:
        """The captions, also of missing videos: those are text alone."""
        return self._set.corpus

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The videos of split "test" that are there, or of "validation" if there are none."""
        films = replace(self._set, corpus=serve(self.rows(), langs))
        found = (films.held_out(langs, split) for split in HELD_OUT_SPLITS)
        return self._as_divided(next((benchmark for benchmark in found if benchmark is not None), None))


def held_out_of(corpus: Corpus, langs: Sequence[str]) -> Benchmark | None:
    """A benchmark of a corpus's rows of split "test", or of "validation" if no test row has a picture or video."""
    for split in HELD_OUT_SPLITS:
        rows = serve(corpus.select(split=split), langs).rows
        chosen = tuple(row for row in rows if row.lang in langs)
        if any(row.image is not None or row.video is not None for row in chosen):
            return benchmarks.from_corpus(replace(corpus, rows=chosen, skipped=()), split=split)
    return None


def open_dataset(name: str | Path, **reading: Unpack[Reading]) -> Dataset:
    """Open ``emoji``, ``emoji-video`` (either with ``:VENDOR``), or a caption file or folder.

    Args:
        name: the name, or the path.
        reading: how data of one's own is read; see :class:`Reading`.

    Raises:
        DataError: if there is neither such a name nor such a path.
        ConfigError: for an option that has no meaning for this data.
    """
    text = str(name)
    kind, _, vendor = text.partition(":")
    path = Path(name)
    options = ReadingOptions(**reading)
    if kind in (EmojiDataset.name, EmojiVideoDataset.name) and not path.exists():
        every = [each.name for each in fields(options)]
        options.refuse(f"{kind}, which brings its pictures, names and splits", *every)
        return EmojiDataset(vendor or "auto") if kind == EmojiDataset.name else EmojiVideoDataset(vendor or "auto")
    if path.exists():
        if (of_videos := recognise(path)) is not None:
            options.refuse(f"{path}, which lists videos", "default_lang", "encoding", "max_skipped")
            return VideoDataset(path, of_videos, **reading)
        if (layout := layout_of(path)) is not None:
            options.refuse(f"{path}, which is laid out as {layout.name}", "default_lang", "encoding", "hold_out")
            return CorpusDataset(path, layout, options.folder, options.max_skipped)
        return FileDataset(path, **reading)
    close = difflib.get_close_matches(text, [EmojiDataset.name, EmojiVideoDataset.name], n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    raise DataError(
        f"there is no dataset and no file {text!r}",
        hint=f"{guess}give 'emoji', 'emoji-video', or a CSV, TSV, JSONL file or a folder",
    )
