"""What all sets of captioned videos share: a list of clips with captions, and a folder with some of their files.

Clips of such sets disappear from the web, so that two people with the same list have different pools. A missing file
is therefore no error: it is listed, its captions stay as text, and every protocol says how many of the videos listed
are there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

from glotclip.data import catalog
from glotclip.data.benchmark import Benchmark, from_corpus
from glotclip.data.dataset import HELD_OUT_SPLITS, PathDataset
from glotclip.data.holdout import hold_out
from glotclip.data.listing import list_folder
from glotclip.data.schema import Corpus, Row, SkippedItem, check_row
from glotclip.data.serving import serve
from glotclip.data.video import SUFFIXES, Sampling
from glotclip.errors import DataError


@dataclass(frozen=True, slots=True)
class Clip:
    """One video as a list names it.

    Attributes:
        name: its id in the set; what its captions are grouped by.
        split: ``train``, ``validation`` or ``test``; empty where the list does not say it.
        captions: unchecked rows with text, language and, where it is known, the same text in English.
        where: the file that lists it.
        file: the path of its file below the videos' folder, where it is known.
        line: the line in ``where``.
    """

    name: str
    split: str
    captions: Sequence[Row]
    where: Path
    file: str | None = None
    line: int | None = None


class Assembled(NamedTuple):
    """A set as read.

    Attributes:
        corpus: its captions; those of a missing video are text alone. ``skipped`` lists missing videos, once each.
        listed: how many videos the lists name, by split.
        missing: those of them that have no file, by split.
    """

    corpus: Corpus
    listed: Mapping[str, int]
    missing: Mapping[str, tuple[SkippedItem, ...]]


class VideoCorpus(PathDataset):
    """Captioned videos in a folder or listed in a file.

    Attributes:
        sampling: which frames stand for a video, where the set has a usual choice.
        by_name: whether a video's file may lie anywhere below the folder, called by its id; otherwise it is only
            looked for where the list says.
        about: one sentence on what the captions are, for the protocol.
    """

    sampling: ClassVar[Sampling] = Sampling()
    by_name: ClassVar[bool] = True
    about: str = ""
    no_use_for = ("default_lang", "encoding", "max_skipped")
    no_use_since = "lists videos"

    @abstractmethod
    def clips(self) -> tuple[list[Clip], list[SkippedItem]]:
        """Read what the lists name, and what of it cannot be used.

        Raises:
            DataError: if no list is there, or one is damaged.
        """

    @property
    def folder(self) -> Path:
        """Where the videos lie."""
        return self.options.folder or (self.path if self.path.is_dir() else self.path.parent)

    def read(self) -> Corpus:
        """The captions, also of missing videos: those are text alone."""
        return self._assemble(*self.clips()).corpus

    def rows(self) -> Corpus:
        """The same, those held out for testing marked as such."""
        return self.assembled.corpus

    def pool(self, split: str) -> str:
        """Say how much of a split is there: ``968 of 1,000 videos``."""
        listed = self.assembled.listed.get(split, 0)
        return f"{listed - len(self.assembled.missing.get(split, ())):,} of {listed:,} videos"

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The videos of split "test" that are there, or of "validation" if there are none."""
        found = (self.benchmark_of(langs, split) for split in HELD_OUT_SPLITS)
        return self.as_divided(next((benchmark for benchmark in found if benchmark is not None), None))

    def benchmark_of(self, langs: Sequence[str], split: str) -> Benchmark | None:
        """Make a benchmark of a split's captions in ``langs``; None if no video of them is there.

        The gallery holds every video that is there and has a caption in any language, so that languages are
        compared over one gallery.
        """
        corpus = serve(self.rows(), langs).select(split=split)
        rows = tuple(row for row in corpus.rows if row.video is not None)
        if not any(row.lang in langs for row in rows):
            return None
        found = from_corpus(replace(corpus, rows=rows, skipped=self.assembled.missing.get(split, ())), split)
        captions = {lang: texts for lang, texts in found.captions.items() if lang in langs}
        many = ", ".join(f"{lang} {len(texts):,}" for lang, texts in captions.items())
        protocol = f"{found.protocol}; {self.pool(split)} of the split are there; captions: {many}"
        return replace(found, captions=captions, protocol=f"{protocol}. {self.about}".strip())

    @cached_property
    def assembled(self) -> Assembled:
        """The set as read; where no list says a split, a share of the videos is held out for testing."""
        clips, skipped = self.clips()
        found = self._assemble(clips, skipped)
        corpus = replace(found.corpus, divided=any(clip.split for clip in clips))
        held = hold_out(corpus, self.options.hold_out, self.folder)
        if held is corpus:
            return found
        split_of = {row.group: row.split for row in held.rows if row.group is not None}
        found = self._assemble([replace(clip, split=split_of.get(clip.name, "train")) for clip in clips], skipped)
        return found._replace(corpus=replace(found.corpus, notes=held.notes, divided=False))

    def count_files(self, counts: dict[str, int]) -> dict[str, int]:
        """Add the number of video files below the folder to what was counted of the lists; none is an error."""
        if not counts:
            expected = catalog.dataset(self.name).files
            raise DataError(f"{self.path} holds no annotations that are known", hint=f"expected {expected}")
        videos = sum(path.suffix.lower() in SUFFIXES for path in self.path.rglob("*"))
        return counts | ({"video files": videos} if videos else {})

    def _assemble(self, clips: Sequence[Clip], skipped: Sequence[SkippedItem]) -> Assembled:
        """Check captions, find files, and count what is listed and what is there.

        A clip that is listed twice (for two languages, say) counts once, in the split it is first listed in.
        """
        rows: list[Row] = []
        wrong = list(skipped)
        files: dict[str, Path | None] = {}
        split_of: dict[str, str] = {}
        missing: dict[str, list[SkippedItem]] = {}
        for clip in clips:
            if clip.name not in files:
                files[clip.name] = self._videos.find(clip)
                split_of[clip.name] = clip.split or "train"
                if files[clip.name] is None:
                    lost = SkippedItem(str(clip.where), clip.line, f"the video {clip.name} is missing")
                    missing.setdefault(split_of[clip.name], []).append(lost)
            for caption in clip.captions:
                try:
                    # The file is known to be there: asking the disk for each caption is slow.
                    row = check_row(replace(caption, split=split_of[clip.name], group=clip.name))
                    rows.append(replace(row, video=files[clip.name]))
                except DataError as error:
                    wrong.append(SkippedItem(str(clip.where), clip.line, f"{clip.name}: {error.message}"))
        if files and not any(files.values()):
            reason = f"none of {len(files)} videos is there; captions stay as text"
            wrong.append(SkippedItem(str(self.folder), None, reason))
        else:
            wrong += [lost for of_split in missing.values() for lost in of_split]
        licence = catalog.dataset(self.name).licence if self.name in catalog.datasets() else "unknown"
        corpus = Corpus(self.name, tuple(rows), tuple(wrong), licence, sampling=self.sampling)
        of_split = {split: tuple(lost) for split, lost in missing.items()}
        return Assembled(corpus, dict(Counter(split_of.values())), of_split)

    @cached_property
    def _videos(self) -> VideoIndex:
        return VideoIndex(self.folder, by_name=self.by_name)


class VideoIndex:
    """The video files below a folder, by path or by name.

    Args:
        root: the folder.
        by_name: look for names in all folders below; otherwise only paths from the root are found.
    """

    def __init__(self, root: Path, *, by_name: bool = True) -> None:
        self._root = root
        self._by_name = by_name

    @cached_property
    def _by_stem(self) -> dict[str, Path]:
        """Files by their names without ending; the folder is gone through once."""
        found: dict[str, Path] = {}
        if self._by_name and self._root.is_dir():
            listing = list_folder(self._root)
            for path in sorted((*listing.videos, *listing.images)):  # animated images are videos, too
                if path.suffix.lower() in SUFFIXES:
                    found.setdefault(path.stem, path.absolute())
        return found

    def find(self, clip: Clip) -> Path | None:
        """Return the file of a clip: where it says, or called by its id."""
        if clip.file is not None and (self._root / clip.file).is_file():
            return (self._root / clip.file).absolute()
        return self._by_stem.get(clip.name)


def aligned_rows(captions: Mapping[str, Sequence[str]]) -> list[Row]:
    """Make rows of a clip's captions by language, in their order.

    Where English and another language have equally many, the k-th are taken as translations of one another.
    """
    english = captions.get("en", ())
    return [
        Row(text, lang, english=english[place] if lang != "en" and len(english) == len(texts) else None)
        for lang, texts in captions.items()
        for place, text in enumerate(texts)
    ]
