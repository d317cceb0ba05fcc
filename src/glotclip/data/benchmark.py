"""What an evaluation needs to know of a dataset: a gallery, the queries of each language, named subsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glotclip.data.schema import Caption, Corpus, SkippedItem, known_split
from glotclip.data.video import Sampling
from glotclip.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Benchmark:
    """A retrieval task over N images, or N videos.

    Attributes:
        name: what results call it.
        images: the gallery, N paths: of images, or of videos where ``sampling`` is given.
        captions: the queries of each language; several may describe one image.
        subsets: masks over the gallery, bool (N,). A subset restricts the queries, never the gallery.
        protocol: one paragraph that says exactly what is measured, for the result file.
        skipped: what had to be left out.
        licence: terms of use of images and texts.
        sampling: which frames stand for a video; ``None``: the gallery is one of images.
        split: which rows of the data these are, where it has splits.
        text_subsets: by language, masks over its captions, bool (M,): subsets of the queries, such as those whose
            words were all taught. Asked with an image, those count that have no caption outside the subset.
    """

    name: str
    images: tuple[Path, ...]
    captions: Mapping[str, Sequence[Caption]]
    subsets: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    protocol: str = ""
    skipped: tuple[SkippedItem, ...] = ()
    licence: str = "unknown"
    sampling: Sampling | None = None
    split: str = ""
    text_subsets: Mapping[str, Mapping[str, npt.NDArray[np.bool_]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for lang, captions in self.captions.items():
            if any(not 0 <= caption.image < len(self.images) for caption in captions):
                raise DataError(
                    f"benchmark {self.name}: a {lang} caption points outside the {len(self.images)} images",
                    hint="number the images from 0",
                )
        for name, mask in self.subsets.items():
            if mask.shape != (len(self.images),) or mask.dtype != np.bool_:
                raise DataError(
                    f"benchmark {self.name}: subset {name!r} is not a mask over its images",
                    hint=f"give bool ({len(self.images)},)",
                )
        for lang, masks in self.text_subsets.items():
            size = len(self.captions.get(lang, ()))
            for name, mask in masks.items():
                if mask.shape != (size,) or mask.dtype != np.bool_:
                    raise DataError(
                        f"benchmark {self.name}: subset {name!r} is not a mask over its {lang} captions",
                        hint=f"give bool ({size},)",
                    )

    @property
    def languages(self) -> list[str]:
        """The languages that have queries."""
        return list(self.captions)

    @property
    def medium(self) -> str:
        """What the gallery holds: ``image`` or ``video``."""
        return "image" if self.sampling is None else "video"

    @property
    def gallery(self) -> str:
        """What scores are on, in a few words: ``captions.csv, split test, 120 images``."""
        split = f", split {self.split}" if self.split else ""
        return f"{self.name}{split}, {len(self.images):,} {self.medium}s"


def from_corpus(corpus: Corpus, split: str | None = "test", *, sampling: Sampling | None = None) -> Benchmark:
    """Make a benchmark of a corpus's rows of ``split`` (``None``: all).

    The gallery holds one image a group, the first met; an image under two groups is there once. A row
    without an image of its own counts for its group's image; where there is none it is listed in ``skipped``.
    Where no row of the split has an image but some have a video, all this is said of videos.

    Args:
        corpus: the captions.
        split: which of them.
        sampling: which frames stand for a video, where that is not as the corpus says.

    Raises:
        DataError: if no row of the split has an image or video.
    """
    rows = corpus.rows if split is None else corpus.select(split=known_split(split)).rows
    of_videos = all(row.image is None for row in rows) and any(row.video is not None for row in rows)
    medium = "video" if of_videos else "image"
    index_of: dict[Path, int] = {}
    group_index: dict[str, int] = {}
    further: set[Path] = set()
    for row in rows:
        path = row.video if of_videos else row.image
        if path is None or row.key is None:
            continue
        if row.key not in group_index:
            group_index[row.key] = index_of.setdefault(path, len(index_of))
        elif path not in index_of:
            further.add(path)
    captions: dict[str, list[Caption]] = {}
    skipped = [*corpus.skipped, *corpus.unused]
    for row in rows:
        if row.key is None or row.key not in group_index:
            skipped.append(SkippedItem(corpus.name, None, f"no {medium} for the {row.lang} caption {row.text!r}"))
        else:
            captions.setdefault(row.lang, []).append(Caption(row.text, group_index[row.key]))
    if not index_of:
        raise DataError(
            f"{corpus.name} has no image or video in split {split or 'any'}",
            hint="give the rows an image or video column, or choose another split",
        )
    protocol = f"{corpus.name}, split {split or 'all'}: gallery of {len(index_of)} {medium}s, one a group"
    left_out = len(further - index_of.keys())
    if left_out:
        protocol += f" ({left_out} further {medium}s of the same groups are left out)"
    chosen = (sampling or corpus.sampling) if of_videos else None
    if chosen is not None:
        protocol += f"; a video is the mean of its frames: {chosen}"
    return Benchmark(
        corpus.name,
        tuple(index_of),
        captions,
        protocol=protocol,
        skipped=tuple(skipped),
        licence=corpus.licence,
        sampling=chosen,
        split=split or "",
    )
