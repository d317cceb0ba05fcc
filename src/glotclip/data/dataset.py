"""A dataset as a user names it: ``emoji``, or a caption file or folder of their own."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from glotclip.data import benchmark as benchmarks
from glotclip.data import emoji, motion, readers
from glotclip.data.benchmark import Benchmark
from glotclip.data.corpora import Layout, layout_of
from glotclip.data.schema import Corpus, check_share
from glotclip.data.videosets import VideoSet, recognise
from glotclip.errors import DataError, LanguageError

HELD_OUT_SPLITS = ("test", "validation")


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

    def benchmark(self, langs: Sequence[str]) -> Benchmark:
        """The benchmark of held-out rows; that there is none is an error, and so is a language without captions."""
        found = self.held_out(langs)
        if found is None:
            if langs and not set(langs) & set(self.languages()):
                raise LanguageError(
                    f"{self.name} has no captions in {', '.join(langs)}",
                    hint=f"it has: {', '.join(self.languages())}",
                )
            raise DataError(
                f"{self.name} has no pictures in a split {' or '.join(HELD_OUT_SPLITS)}",
                hint="add a column 'split' with rows marked test, and a column 'image'",
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


class FileDataset(Dataset):
    """A caption file, or a folder of pictures with sidecar captions (:mod:`glotclip.data.readers`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name

    @cached_property
    def _rows(self) -> Corpus:
        corpus = readers.read(self.path)
        check_share(corpus)
        return corpus

    def languages(self) -> list[str]:
        """Codes that occur in the file."""
        return self._rows.languages

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The rows of those languages."""
        return _having(self._rows, langs, self.path)

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The rows of split "test", or of "validation" if there are none."""
        return held_out_of(self._rows, langs)


class CorpusDataset(Dataset):
    """A corpus of the field in a folder as its owner lays it out (:mod:`glotclip.data.corpora`).

    Args:
        path: the folder.
        layout: how it is laid out.
        images: the folder of pictures, where it is not beside the captions.
    """

    def __init__(self, path: Path, layout: Layout, images: Path | None = None) -> None:
        self.path, self.layout, self.images = path, layout, images
        self.name = layout.name

    def languages(self) -> list[str]:
        """Codes there are captions in."""
        return self.layout.languages(self.path)

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The captions in ``langs``; no other language's files are opened, English aside."""
        corpus = self.layout.read(self.path, langs, images=self.images)
        check_share(corpus)
        return corpus

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The rows of split "test" that have pictures, or of "validation" if there are none."""
        known = self.languages()
        return held_out_of(self.corpus([code for code in langs if code in known]), langs)


class VideoDataset(Dataset):
    """Captioned videos: MSR-VTT, VATEX, or a list of one's own (:mod:`glotclip.data.videosets`)."""

    def __init__(self, path: Path, read: Callable[[Path], VideoSet]) -> None:
        self.path = path
        self.name = path.name
        self._read = read

    @cached_property
    def _set(self) -> VideoSet:
        return self._read(self.path)

    def languages(self) -> list[str]:
        """Codes that occur in the lists."""
        return self._set.corpus.languages

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The captions, also of missing videos: those are text alone."""
        return _having(self._set.corpus, langs, self.path)

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The videos of split "test" that are there, or of "validation" if there are none."""
        found = (self._set.held_out(langs, split) for split in HELD_OUT_SPLITS)
        return next((benchmark for benchmark in found if benchmark is not None), None)


def held_out_of(corpus: Corpus, langs: Sequence[str]) -> Benchmark | None:
    """A benchmark of a corpus's rows of split "test", or of "validation" if no test row has a picture or video."""
    for split in HELD_OUT_SPLITS:
        rows = corpus.select(split=split).rows
        chosen = tuple(row for row in rows if row.lang in langs)
        if any(row.image is not None or row.video is not None for row in chosen):
            return benchmarks.from_corpus(Corpus(corpus.name, chosen, (), corpus.licence), split=split)
    return None


def _having(corpus: Corpus, langs: Sequence[str], path: Path) -> Corpus:
    """Return a corpus that has captions in all of ``langs``; that it lacks one is an error."""
    have = corpus.languages
    if missing := [code for code in langs if code not in have]:
        raise LanguageError(
            f"{path} has no captions in {', '.join(missing)}", hint=f"it has: {', '.join(have) or 'none'}"
        )
    return corpus


def open_dataset(name: str | Path, images: Path | None = None) -> Dataset:
    """Open ``emoji``, ``emoji-video`` (either with ``:VENDOR``), or a caption file or folder.

    Args:
        name: the name, or the path.
        images: the folder of pictures of a corpus that :mod:`glotclip.data.corpora` knows, where it lies elsewhere.

    Raises:
        DataError: if there is neither such a name nor such a path.
    """
    text = str(name)
    kind, _, vendor = text.partition(":")
    path = Path(name)
    if kind == EmojiDataset.name and not path.exists():
        return EmojiDataset(vendor or "auto")
    if kind == EmojiVideoDataset.name and not path.exists():
        return EmojiVideoDataset(vendor or "auto")
    if path.exists():
        if (of_videos := recognise(path)) is not None:
            return VideoDataset(path, of_videos)
        if (layout := layout_of(path)) is not None:
            return CorpusDataset(path, layout, images)
        return FileDataset(path)
    close = difflib.get_close_matches(text, [EmojiDataset.name, EmojiVideoDataset.name], n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    raise DataError(
        f"there is no dataset and no file {text!r}",
        hint=f"{guess}give 'emoji', 'emoji-video', or a CSV, TSV, JSONL file or a folder",
    )
