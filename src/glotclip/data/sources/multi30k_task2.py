"""Multi30K task 2: five captions an image in English and five in German, written independently of one another.

The owner's layout is ``data/task2/raw/SPLIT.K.LANG.gz`` for K = 1 … 5, and ``data/task2/image_splits``. The captions
are no translations, so rows have no English counterpart: they serve images, not parallel text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glotclip.data.corpus_folder import CorpusFolder, Located, check_aligned, english_first
from glotclip.data.dataset import register
from glotclip.data.encodings import first_file, read_lines
from glotclip.data.schema import language_or_none
from glotclip.data.sources.multi30k import IMAGE_PLACES, image_names, rows_of

_SPLITS = {"train": ("train",), "validation": ("val",), "test": ("test_2016", "test_2016_flickr")}
_PLACES = ("", "raw", "task2/raw", "data/task2/raw")
_NUMBERS = "12345"


@register
class Multi30KTask2(CorpusFolder):
    """Task 2; a row's group is the image's name."""

    name = "multi30k-task2"
    image_places = IMAGE_PLACES

    def languages(self) -> list[str]:
        """Those with a first caption in any split."""
        return english_first(lang for _, number, lang, _ in self._files() if number == "1")

    def captions(self, lang: str) -> Iterator[Located]:
        """All first captions, then all second ones, split by split."""
        files = {(split, number): path for split, number, code, path in self._files() if code == lang}
        for split in dict.fromkeys(split for split, _ in files):
            for number in _NUMBERS:
                path = files.get((split, number))
                if path is None:
                    yield str(self.path), None, f"caption {number} of split {split} in {lang} is not there"
                    continue
                texts = read_lines(path)
                names = image_names(path.parent, _SPLITS[split])
                check_aligned(path, texts, names)
                for line, row in enumerate(rows_of(texts, lang, split, names), start=1):
                    yield str(path), line, row

    def _files(self) -> list[tuple[str, str, str, Path]]:
        """Return (split, number, language, file), split by split."""
        marks = [f"{stem}.1.en" for stems in _SPLITS.values() for stem in stems]
        place = next((self.path / place for place in _PLACES if first_file(self.path / place, marks)), None)
        found = []
        for path in sorted(place.iterdir()) if place else []:
            stem, _, rest = path.name.removesuffix(".gz").partition(".")
            number, _, code = rest.partition(".")
            split = next((split for split, stems in _SPLITS.items() if stem in stems), None)
            if split and len(number) == 1 and number in _NUMBERS and (lang := language_or_none(code)):
                found.append((split, number, lang, path))
        return sorted(found, key=lambda each: list(_SPLITS).index(each[0]))
