"""The embedded datasets: emoji as images by several artists, and in motion, with their names in many languages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from glotclip.data import emoji, emoji_clips, emoji_images
from glotclip.data.benchmark import Benchmark
from glotclip.data.dataset import Dataset, register
from glotclip.data.emoji import Names
from glotclip.data.emoji_images import HELD_OUT, TRAINING_VENDORS
from glotclip.data.licences import Licence
from glotclip.data.reading import ReadingOptions
from glotclip.data.schema import Caption, Corpus, Row, SkippedItem
from glotclip.data.video import Sampling
from glotclip.errors import DataError
from glotclip.languages import normalise_all

_SOURCES = {
    "emoji": ("the package emoji, with names from Unicode CLDR", "https://pypi.org/project/emoji"),
    "cldr": ("Unicode CLDR", "https://cldr.unicode.org"),
}
# Of those that are trained on.
_ARTISTS = {
    "twemoji": ("CC-BY-4.0", "https://github.com/jdecked/twemoji"),
    "openmoji": ("CC-BY-SA-4.0", "https://openmoji.org"),
}


class EmojiBase(Dataset):
    """What images and clips of emoji have in common.

    Args:
        vendor: whose artwork forms the benchmark's gallery; ``auto``: the best that is found.
        names: where names come from, see :mod:`glotclip.data.emoji`.

    Attributes:
        kind: what the command line calls it.
        sampling: which frames stand for a clip; ``None`` for images.
        subsets: the benchmark's subsets, and the split of their concepts.
    """

    kind: ClassVar[str]
    sampling: ClassVar[Sampling | None] = None
    subsets: ClassVar[Mapping[str, str]] = {"seen": "train", "unseen": "test", "validation": "validation"}
    precedence = 2
    no_use_for = ("images", "default_lang", "encoding", "max_skipped", "hold_out")
    no_use_since = "brings its images, names and splits"

    def __init__(self, vendor: str = "auto", names: Names = "emoji") -> None:
        self.vendor, self.names = vendor, names
        self.name = self.kind if names == "emoji" else f"{self.kind}-{names}"

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether a name is ``KIND`` or ``KIND-cldr``, either with ``:VENDOR``, and no file is called so."""
        return data.partition(":")[0] in (cls.kind, f"{cls.kind}-cldr") and not Path(data).exists()

    @classmethod
    def open(cls, data: str, options: ReadingOptions) -> Self:
        """Open by name."""
        kind, _, vendor = data.partition(":")
        options.refuse(f"{kind}, which {cls.no_use_since}", cls.no_use_for)
        return cls(vendor or "auto", "emoji" if kind == cls.kind else "cldr")

    def languages(self) -> list[str]:
        """Codes with names."""
        return emoji.languages(self.names)

    @abstractmethod
    def artwork(self) -> list[Mapping[str, Path]]:
        """The images or clips that are trained on: concept → file, by artist."""

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """One row a concept and language: its name, its English name, an image or clip, its split.

        The artist alternates over concepts and languages, so that each language meets all of them.
        """
        codes = normalise_all(langs)
        found = self.artwork()
        english = emoji.texts("en", self.names)
        rows: list[Row] = []
        skipped: list[SkippedItem] = []
        for lang_place, code in enumerate(codes):
            named = emoji.texts(code, self.names)
            for place, concept in enumerate(self.concepts()):
                first = (place + lang_place) % len(found)
                file = next((of[concept] for of in found[first:] + found[:first] if concept in of), None)
                if concept not in named or file is None:
                    what = f"name in {code}" if file else f"image by {', '.join(TRAINING_VENDORS)}"
                    skipped.append(SkippedItem(f"{self.kind} {concept}", None, f"it has no {what}"))
                    continue
                name = english[concept].name if concept in english and code != "en" else None
                image, video = (None, file) if self.sampling else (file, None)
                split = emoji.concepts()[concept]
                rows.append(Row(named[concept].name, code, image, video, name, split=split, group=concept))
        licence = self.licence(TRAINING_VENDORS)
        return Corpus(self.kind, tuple(rows), tuple(skipped), licence, sampling=self.sampling or Sampling())

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The names of concepts asked of one artist's; the subsets tell seen and unseen concepts apart."""
        named = emoji.coverage(langs, self.names)  # by inheritance: de-AT has the names of de
        codes = normalise_all([code for code in langs if named[code] > 0])
        vendor, found = self.gallery()
        gallery = list(found)
        splits = np.array([emoji.concepts()[concept] for concept in gallery])
        texts = {code: emoji.texts(code, self.names) for code in codes}
        return Benchmark(
            name=f"{self.kind}-{vendor}",
            images=tuple(found[concept] for concept in gallery),
            captions={
                code: [Caption(named[each].name, place) for place, each in enumerate(gallery) if each in named]
                for code, named in texts.items()
            },
            subsets={name: splits == split for name, split in self.subsets.items()},
            protocol=self.protocol(vendor, len(gallery)),
            skipped=tuple(
                SkippedItem(f"{self.kind} {each}", None, f"no image by {vendor}")
                for each in self.concepts()
                if each not in found and vendor != emoji_clips.FLUENT
            ),
            licence=self.licence((vendor,)),
            sampling=self.sampling,
        )

    def licences(self, langs: Sequence[str]) -> tuple[Licence, ...]:
        """The terms of the names, and of the artists that are trained on."""
        del langs
        terms = {"emoji": "BSD-3-Clause AND Unicode-3.0", "cldr": "Unicode-3.0"}[self.names]
        source, url = _SOURCES[self.names]
        names = Licence(self.name, terms, source, url)
        return (names, *(Licence(each, spdx, "images of emoji", url) for each, (spdx, url) in _ARTISTS.items()))

    @abstractmethod
    def gallery(self) -> tuple[str, Mapping[str, Path]]:
        """Whose artwork the benchmark shows, and the file of each concept."""

    @abstractmethod
    def protocol(self, vendor: str, size: int) -> str:
        """What exactly the benchmark measures."""

    def concepts(self) -> Iterable[str]:
        """The concepts, in a fixed order."""
        return emoji.concepts()

    def licence(self, vendors: Iterable[str]) -> str:
        """The terms of the sources used, in one line."""
        terms = (emoji_images.LICENCES.get(vendor, f"{vendor}: see its package") for vendor in vendors)
        return "; ".join([emoji.LICENCES[self.names], *terms])


@register
class EmojiDataset(EmojiBase):
    """1,644 emoji as images. The gallery of vendor ``auto`` is Google's, which no model here is trained on, if they
    are found, else twemoji's, which is the easier test; the protocol says which.
    """

    kind = "emoji"

    def artwork(self) -> list[Mapping[str, Path]]:
        """Images by the artists that are trained on."""
        return [emoji_images.find(vendor, emoji.concepts()) for vendor in TRAINING_VENDORS]

    def gallery(self) -> tuple[str, Mapping[str, Path]]:
        """All images by one artist."""
        auto = HELD_OUT if emoji_images.vendor_folder(HELD_OUT) else TRAINING_VENDORS[0]
        vendor = auto if self.vendor == "auto" else self.vendor
        return vendor, emoji_images.find(vendor, emoji.concepts())

    def protocol(self, vendor: str, size: int) -> str:
        """Gallery, queries and subsets."""
        source = "CLDR" if self.names == "cldr" else "the emoji package"
        trained = "never trained on" if vendor not in TRAINING_VENDORS else "whose images are also trained on"
        return (
            f"gallery: {size} emoji by {vendor}, an artist {trained}; queries: the names of all concepts from "
            f"{source}; subsets by the concept's split: seen = train, unseen = test"
        )

    def counts(self) -> dict[str, int]:
        """Count concepts by split and the images of each artist that is found; of a named artist, its images."""
        if self.vendor != "auto":
            return {"image files": len(emoji_images.sources(self.vendor, emoji.concepts()))}
        splits = list(emoji.concepts().values())
        counts = {"concepts": len(splits), "languages": len(self.languages())}
        counts |= {split: splits.count(split) for split in ("train", "validation", "test")}
        found = (*TRAINING_VENDORS, *([HELD_OUT] if emoji_images.vendor_folder(HELD_OUT) else []))
        images = {f"images by {vendor}": len(emoji_images.sources(vendor, emoji.concepts())) for vendor in found}
        return counts | images


@register
class EmojiVideoDataset(EmojiBase):
    """200 emoji in motion. The gallery of vendor ``auto`` is the first that is found of Microsoft's animations
    (``fluent``), Google's images set in motion, and twemoji's.
    """

    kind = "emoji-video"
    sampling = emoji_clips.SAMPLING
    subsets: ClassVar[Mapping[str, str]] = {"seen": "train", "unseen": "test"}

    def concepts(self) -> list[str]:
        """The first concepts of an order in which each beginning is a fair sample."""
        return emoji_clips.concepts()[: emoji_clips.COUNT]

    def artwork(self) -> list[Mapping[str, Path]]:
        """Clips of images by the artists that are trained on."""
        return [emoji_clips.clips(vendor, self.concepts()) for vendor in TRAINING_VENDORS]

    def gallery(self) -> tuple[str, Mapping[str, Path]]:
        """Animations by one artist, or images set in motion."""
        animated = emoji_clips.fluent(emoji_clips.concepts()) if self.vendor in (emoji_clips.FLUENT, "auto") else {}
        if animated:
            return emoji_clips.FLUENT, dict(list(animated.items())[: emoji_clips.COUNT])
        if self.vendor == emoji_clips.FLUENT:
            raise DataError(
                "no animations of Fluent Emoji found",
                hint="unpack npm's @lobehub/fluent-emoji-anim-1 (and -2, -3, -4) and name the folder around it in "
                "$GLOTCLIP_EMOJI_VENDORS",
            )
        auto = HELD_OUT if emoji_images.vendor_folder(HELD_OUT) else TRAINING_VENDORS[0]
        vendor = auto if self.vendor == "auto" else self.vendor
        return vendor, emoji_clips.clips(vendor, self.concepts())

    def protocol(self, vendor: str, size: int) -> str:
        """Gallery, queries and subsets."""
        trained = "also trained on" if vendor in TRAINING_VENDORS else "never trained on"
        source = f"images by {vendor} ({trained}) set in motion"
        if vendor == emoji_clips.FLUENT:
            source = "Microsoft's animated Fluent Emoji, never trained on"
        return (
            f"gallery: {size} videos of emoji, {source}; a video is the mean of its frames: {self.sampling}; "
            "queries: the concepts' names; subsets by the concept's split: seen = train, unseen = test"
        )
