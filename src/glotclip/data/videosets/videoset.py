"""What all sets of videos share: a list of clips with captions, and a folder in which some of the files are.

Clips of such sets disappear from the web, so that two people with the same list have different pools. A missing file
is therefore no error: it is listed, its captions stay as text, and every protocol says how many of the videos listed
are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from glotclip.data import video
from glotclip.data.benchmark import Benchmark, from_corpus
from glotclip.data.listing import list_folder
from glotclip.data.schema import Corpus, Row, SkippedItem, check_row
from glotclip.errors import DataError


@dataclass(frozen=True, slots=True)
class Text:
    """One caption as it stands in a file; ``english`` is the same caption in English, where that is known."""

    text: str
    lang: str
    english: str | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """One video as a list names it.

    Attributes:
        name: its id in the set; what its captions are grouped by.
        split: ``train``, ``validation`` or ``test``; empty while a list is read that does not say it.
        texts: its captions.
        where: the file that lists it.
        file: the path of its file below the videos' folder, where it is known.
        line: the line in ``where``.
    """

    name: str
    split: str
    texts: Sequence[Text]
    where: Path
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class VideoSet:
    """A set as read.

    Attributes:
        corpus: its captions; those of a missing video are text alone. ``skipped`` lists missing videos, once each.
        listed: how many videos the lists name, by split.
        missing: those of them that have no file, by split.
        about: one sentence on what the captions are, for the protocol.
    """

    corpus: Corpus
    listed: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, tuple[SkippedItem, ...]] = field(default_factory=dict)
    about: str = ""

    def pool(self, split: str) -> str:
        """Say how much of a split is there: ``968 of 1,000 videos``."""
        listed = self.listed.get(split, 0)
        return f"{listed - len(self.missing.get(split, ())):,} of {listed:,} videos"

    def held_out(self, langs: Sequence[str], split: str, sampling: video.Sampling | None = None) -> Benchmark | None:
        """Make a benchmark of a split's captions in ``langs``; None if no video of them is there.

        The gallery holds every video that is there and has a caption in any language, so that languages are
        compared over one gallery.
        """
        rows = tuple(row for row in self.corpus.select(split=split).rows if row.video is not None)
        if not any(row.lang in langs for row in rows):
            return None
        corpus = replace(self.corpus, rows=rows, skipped=self.missing.get(split, ()))
        found = from_corpus(corpus, split, sampling=sampling)
        captions = {lang: texts for lang, texts in found.captions.items() if lang in langs}
        many = ", ".join(f"{lang} {len(texts):,}" for lang, texts in captions.items())
        protocol = f"{found.protocol}; {self.pool(split)} of the split are there; captions: {many}"
        return replace(found, captions=captions, protocol=f"{protocol}. {self.about}".strip())


class Films:
    """The video files below some folders, by path or by name.

    Args:
        roots: the folders.
        anywhere: look for names in all folders below; otherwise only paths from a root are found.
    """

    def __init__(self, roots: Iterable[Path], *, anywhere: bool = True) -> None:
        self._roots = tuple(roots)
        self._anywhere = anywhere

    @cached_property
    def _by_stem(self) -> dict[str, Path]:
        """Files by their names without ending; each folder is gone through once."""
        found: dict[str, Path] = {}
        for root in self._roots if self._anywhere else ():
            if not root.is_dir():
                continue
            listing = list_folder(root)
            for path in sorted((*listing.videos, *listing.images)):  # animated images are videos, too
                if path.suffix.lower() in video.SUFFIXES:
                    found.setdefault(path.stem, path.absolute())
        return found

    def find(self, clip: Clip) -> Path | None:
        """Return the file of a clip: where it says, or called by its id."""
        if clip.file is not None:
            path = next((root / clip.file for root in self._roots if (root / clip.file).is_file()), None)
            if path is not None:
                return path.absolute()
        return self._by_stem.get(clip.name)


def assemble(
    name: str,
    clips: Iterable[Clip],
    films: Films,
    *,
    folder: Path,
    licence: str = "unknown",
    about: str = "",
    skipped: Iterable[SkippedItem] = (),
    sampling: video.Sampling | None = None,
) -> VideoSet:
    """Check captions, find files, and count what is listed and what is there.

    A clip that is listed twice (for two languages, say) counts once, in the split it is first listed in.

    Args:
        name: what the corpus is called.
        clips: what the lists name.
        films: the files.
        folder: what to name where no video is there at all.
        licence: terms of use.
        about: one sentence on the captions.
        skipped: what could not be used so far.
        sampling: which frames stand for a video, where the set has a usual way.
    """
    rows: list[Row] = []
    wrong = list(skipped)
    files: dict[str, Path | None] = {}
    split_of: dict[str, str] = {}
    missing: dict[str, list[SkippedItem]] = {}
    for clip in clips:
        if clip.name not in files:
            files[clip.name] = films.find(clip)
            split_of[clip.name] = clip.split
            if files[clip.name] is None:
                lost = SkippedItem(str(clip.where), clip.line, f"the video {clip.name} is missing")
                missing.setdefault(clip.split, []).append(lost)
        split, path = split_of[clip.name], files[clip.name]
        for text in clip.texts:
            row = Row(text.text, text.lang, english=text.english, split=split, group=clip.name)
            try:
                # The file is known to be there: asking the disk for each caption is slow.
                rows.append(replace(check_row(row), video=path))
            except DataError as error:
                wrong.append(SkippedItem(str(clip.where), clip.line, f"{clip.name}: {error.message}"))
    if files and not any(files.values()):
        wrong.append(SkippedItem(str(folder), None, f"none of {len(files)} videos is there; captions stay as text"))
    else:
        wrong += [lost for of_split in missing.values() for lost in of_split]
    return VideoSet(
        Corpus(name, tuple(rows), tuple(wrong), licence=licence, sampling=sampling or video.Sampling()),
        dict(Counter(split_of.values())),
        {split: tuple(lost) for split, lost in missing.items()},
        about,
    )
