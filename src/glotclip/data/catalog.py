"""The datasets glotclip knows by name: what they are, how large, under which terms, where they come from.

Nothing here is ever fetched by itself; :mod:`glotclip.data.fetch` gets the two that npm carries, when asked.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from glotclip.data import catalog_counts, cldr, corpora, emoji, parallel_files, pictures
from glotclip.data.corpora import Layout
from glotclip.data.parallel import Text
from glotclip.errors import DataError

# Enough to judge a text by; a corpus of 36 languages has 22 million lines.
_LINES_CHECKED = 20_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One named dataset.

    Attributes:
        name: what the command line calls it.
        description: what it is, in a sentence.
        languages: which languages it has, in words or codes.
        licence: terms of use.
        source: where people get it.
        check: folder (``None``: where it is looked for by itself) → what was found there, by name; raises
            :class:`DataError` if it is not there.
        size: what one needs to keep, in words.
        layout: the files it consists of, in words.
        expected: what its owner says :attr:`check` finds; a name with ``*`` holds for all that match.
        texts: folder → its texts, for the checks of :mod:`glotclip.data.parallel`; ``None``: it has one language.
        aligned: whether these texts are translations of one another, line by line.
        packages: the npm packages that :func:`glotclip.data.fetch.get` fetches.
    """

    name: str
    description: str
    languages: str
    licence: str
    source: str
    check: Callable[[Path | None], dict[str, int]]
    size: str = ""
    layout: str = ""
    expected: Mapping[str, int] = field(default_factory=dict)
    texts: Callable[[Path], Iterable[Text]] | None = None
    aligned: bool = False
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted beside what the owner says; ``None``: not found, or nothing is said.

    ``pattern`` is the expected name, which may hold for several that were found.
    """

    name: str
    found: int | None
    expected: int | None
    pattern: str | None = None

    @property
    def right(self) -> bool:
        """Whether the two agree, or nothing is said."""
        return self.expected is None or self.found == self.expected


def compare(found: Mapping[str, int], expected: Mapping[str, int]) -> list[Count]:
    """Set what was found beside what is expected: all that was found, then what is expected and was not found.

    The first expected name that matches holds; an exact name should stand before a pattern that covers it.
    """
    counts = []
    matched: set[str] = set()
    for name, count in found.items():
        pattern = next((pattern for pattern in expected if fnmatchcase(name, pattern)), None)
        if pattern is not None:
            matched.add(pattern)
        counts.append(Count(name, count, None if pattern is None else expected[pattern], pattern))
    counts += [
        Count(pattern, None, number, pattern) for pattern, number in expected.items() if pattern not in matched
    ]
    return counts


def _of_corpus(
    layout: Layout,
    description: str,
    languages: str,
    source: str,
    size: str,
    expected: Mapping[str, int],
    *,
    texts: Callable[[Path], Iterable[Text]] | None = None,
    aligned: bool = False,
) -> Entry:
    """Make the entry of a dataset that a layout reads."""

    def check(folder: Path | None) -> dict[str, int]:
        if folder is None:
            hint = f"name it: `glotclip data check {layout.name} DIR`; get it from: {source}"
            raise DataError(f"{layout.name} lies in no place known by itself", hint=hint)
        return layout.counts(folder)

    unusable = {} if layout.keeps_text else {"lines that cannot be used": 0}
    return Entry(
        layout.name,
        description,
        languages,
        layout.licence,
        source,
        check,
        size,
        layout.needs,
        {**expected, **unusable},
        texts,
        aligned,
    )


def _some_lines_of(layout: Layout) -> Callable[[Path], Iterable[Text]]:
    return lambda folder: parallel_files.from_layout(layout, folder, limit=_LINES_CHECKED)


_COCO_SITE = "pictures: cocodataset.org, train2014 (13 GB) and val2014 (6 GB)"
_FLICKR_SITE = "pictures: the Flickr30K request form"

_ENTRIES = (
    Entry(
        "emoji",
        "1,644 emoji with their names, by two artists for training: the embedded dataset",
        "14 from the emoji package, about 100 with CLDR",
        emoji.licence(emoji.TRAINING_VENDORS),
        "the extra `demo`; `cldr` and `emoji-google` add to it",
        catalog_counts.of_emoji,
        "1,644 concepts, 3,288 pictures; installed with the extra",
        "found by itself",
        {"concepts": 1644},
    ),
    Entry(
        "cldr",
        "names and keywords of all emoji by native speakers, for the dataset emoji",
        "about 100 well covered",
        cldr.LICENCE,
        "npm cldr-annotations-full and cldr-annotations-derived-full, or Debian unicode-cldr-core",
        catalog_counts.of_cldr,
        "names and keywords of 3,500 emoji and more a language",
        "annotations and annotationsDerived, JSON or XML",
        packages=("cldr-annotations-full", "cldr-annotations-derived-full"),
    ),
    Entry(
        "emoji-google",
        "Google's pictures of emoji: the held-out artist of the dataset emoji (74 MB to fetch)",
        "none",
        pictures.LICENCES["google"],
        "npm emoji-datasource-google",
        catalog_counts.of_google,
        "about 1,600 pictures, 74 MB",
        "img/google/64/*.png",
        packages=("emoji-datasource-google",),
    ),
    _of_corpus(
        corpora.MSCOCO_36,
        "MSCOCO's captions machine-translated into 35 languages, with Karpathy's splits: CLL-CLIP's training set",
        "36: ar bn cs da de el en es fa fi fil fr he hi hr hu id it ja ko mi nl no pl pt quz ro ru sv sw te th tr uk "
        "vi zh",
        f"the repository of CLL-CLIP; {_COCO_SITE}",
        "616,767 captions a language; 123,287 pictures, 19 GB",
        {
            "languages": 36,
            "train captions *": 566_747,
            "validation captions *": 25_010,
            "test captions *": 25_010,
            "train images *": 113_287,
            "validation images *": 5_000,
            "test images *": 5_000,
        },
        texts=_some_lines_of(corpora.MSCOCO_36),
        aligned=True,
    ),
    _of_corpus(
        corpora.XM_3600,
        "3,600 pictures from all over the world with human captions: a test set",
        "36, those of mscoco36",
        "google.github.io/crossmodal-3600",
        "261,375 captions; 3,600 pictures",
        {
            "languages": 36,
            "captions": 261_375,
            "test images *": 3_600,
            "test captions bn": 3_600,
            "test captions de": 8_643,
            "test captions mi": 4_732,
        },
        texts=_some_lines_of(corpora.XM_3600),
    ),
    _of_corpus(
        corpora.XTD,
        "1,000 pictures of COCO with one human caption in each language: a test set",
        "en, de, es, fr, it, ja, ko, pl, ru, tr, zh",
        f"github.com/adobe-research/Cross-lingual-Test-Dataset-XTD10; {_COCO_SITE}",
        "11,000 captions; 1,000 pictures of train2014 and val2014",
        {"languages": 11, "test captions *": 1_000, "test images *": 1_000},
        texts=parallel_files.from_files,
        aligned=True,
    ),
    _of_corpus(
        corpora.MULTI30K,
        "31,014 Flickr30K pictures, each with an English caption and its human translations (task 1)",
        "en, de, fr, cs",
        f"github.com/multi30k/dataset; {_FLICKR_SITE}",
        "124,056 captions; 31,014 pictures, 4 GB",
        {
            "train captions *": 29_000,
            "validation captions *": 1_014,
            "test captions *": 1_000,
            "train images *": 29_000,
            "validation images *": 1_014,
            "test images *": 1_000,
        },
        texts=parallel_files.from_files,
        aligned=True,
    ),
    _of_corpus(
        corpora.MULTI30K_TASK2,
        "the same pictures with five independent captions in each of two languages (task 2)",
        "en, de",
        f"github.com/multi30k/dataset; {_FLICKR_SITE}",
        "310,140 captions; 31,014 pictures, 4 GB",
        {
            "train captions *": 145_000,
            "validation captions *": 5_070,
            "test captions *": 5_000,
            "train images *": 29_000,
            "validation images *": 1_014,
            "test images *": 1_000,
        },
        texts=_some_lines_of(corpora.MULTI30K_TASK2),
    ),
    _of_corpus(
        corpora.FLICKR30K,
        "31,014 pictures with five English captions each, with Karpathy's splits",
        "en",
        f"cs.stanford.edu/people/karpathy/deepimagesent; {_FLICKR_SITE}",
        "155,070 captions; 31,014 pictures, 4 GB",
        {
            "train images en": 29_000,
            "validation images en": 1_014,
            "test images en": 1_000,
            "train captions en": 145_000,
            "validation captions en": 5_070,
            "test captions en": 5_000,
        },
    ),
    _of_corpus(
        corpora.COCO,
        "123,287 pictures with about five English captions each, with Karpathy's splits",
        "en",
        f"cs.stanford.edu/people/karpathy/deepimagesent; {_COCO_SITE}",
        "616,767 captions; 123,287 pictures, 19 GB",
        {
            "train images en": 113_287,
            "validation images en": 5_000,
            "test images en": 5_000,
            "train captions en": 566_747,
            "validation captions en": 25_010,
            "test captions en": 25_010,
        },
    ),
    _of_corpus(
        corpora.COCO_CN,
        "Chinese captions written for 20,341 of COCO's pictures",
        "zh",
        f"github.com/li-xirong/coco-cn, by request; {_COCO_SITE}",
        "22,218 captions; 20,341 pictures of COCO",
        {
            "train images zh": 18_341,
            "validation images zh": 1_000,
            "test images zh": 1_000,
            "test captions zh": 1_053,
            "captions": 22_218,
            "images": 20_341,
        },
    ),
    _of_corpus(
        corpora.STAIR,
        "five Japanese captions for each of COCO's 123,287 pictures of 2014",
        "ja",
        f"github.com/STAIR-Lab-CIT/STAIR-captions; {_COCO_SITE}",
        "616,435 captions; 123,287 pictures, 19 GB",
        {"images": 123_287, "captions": 616_435},
    ),
    _of_corpus(
        corpora.CC3M_UC2,
        "Conceptual Captions (3.3 million) with machine translations: MLA trains on 300,000 of them",
        "en, de, fr, cs, zh, ja (and ko)",
        "github.com/zmykevin/UC2; pictures: ai.google.com/research/ConceptualCaptions, by their addresses",
        "up to 3,318,333 captions a language; as many pictures as still answer",
        {},
        texts=_some_lines_of(corpora.CC3M_UC2),
    ),
    Entry(
        "msr-vtt",
        "10,000 video clips with 20 captions each; machine translations into eight further languages exist",
        "en; de, fr, cs, zh, ru, vi, sw, es by machine",
        "MSR-VTT: Microsoft's terms, research use",
        "CLIP4Clip's pack of lists and annotations; github.com/berniebear/Multi-HT100M for nine languages",
        catalog_counts.of_msrvtt,
        "200,000 captions a language; 10,000 clips",
        "MSRVTT_data.json, MSRVTT_train.9k.csv, MSRVTT_JSFUSION_test.csv, MSRVTT_Videos/videoN.mp4",
        {
            "videos": 10_000,
            "sentences": 200_000,
            "train 9k videos": 9_000,
            "test 1k-A videos": 1_000,
        },
    ),
    Entry(
        "vatex",
        "34,991 video clips with ten human captions in English and ten in Chinese",
        "en, zh",
        "VATEX: captions CC BY 4.0; videos: YouTube's terms",
        "eric-xw.github.io/vatex-website",
        catalog_counts.of_vatex,
        "700,000 captions; clips to be fetched from YouTube, where many are gone",
        "vatex_training_v1.0.json, vatex_validation_v1.0.json, vatex_public_test_english_v1.1.json",
        {
            "train videos": 25_991,
            "validation videos": 3_000,
            "train captions en": 259_910,
            "train captions zh": 259_910,
            "validation captions en": 30_000,
            "validation captions zh": 30_000,
        },
    ),
)

DATASETS = {item.name: item for item in _ENTRIES}


def dataset(name: str) -> Entry:
    """Return a dataset by name; an unknown one is a :class:`DataError` that lists those there are."""
    if name in DATASETS:
        return DATASETS[name]
    close = difflib.get_close_matches(name, DATASETS, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    raise DataError(f"there is no dataset {name!r}", hint=f"{guess}known: {', '.join(DATASETS)}")
