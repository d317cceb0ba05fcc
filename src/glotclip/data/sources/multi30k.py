"""Multi30K task 1: English captions of Flickr30K images and their human translations, line by line.

The owner's layout is ``data/task1/raw/SPLIT.LANG.gz`` and ``data/task1/image_splits/SPLIT.txt``; files side by
side in one folder (``train.de.gz`` beside ``train.images.txt``) or in a folder ``human`` are read as well. Machine
translations beside them (:mod:`glotclip.data.translations`) join the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from glotclip.data import translations
from glotclip.data.corpus_folder import CorpusFolder, Located, check_aligned, english_first
from glotclip.data.dataset import register
from glotclip.data.encodings import first_file, read_lines
from glotclip.data.parallel import Text
from glotclip.data.parallel_files import from_files
from glotclip.data.schema import Row, language_or_none

#: Our split → the names its files go by.
SPLITS = {"train": ("train",), "validation": ("val",), "test": ("test_2016_flickr", "test_2016", "test")}
IMAGE_PLACES = tuple(
    f"{up}{name}" for up in ("", "../", "../../", "../../../") for name in ("flickr30k-images", "flickr30k_images")
)
_PLACES = ("", "human", "raw", "task1/raw", "data/task1/raw")
# Endings of other files that may lie there; some of them would pass for language codes.
_OTHER = frozenset({"images", "csv", "tsv", "json", "jsonl", "md", "py", "sh", "tok", "bpe"})


@register
class Multi30K(CorpusFolder):
    """Task 1; a row's group is the image's name."""

    name = "multi30k"
    image_places = IMAGE_PLACES

    def languages(self) -> list[str]:
        """English first; without English it is another dataset."""
        found = {lang for files in self._files().values() for lang in files}
        return english_first(found) if "en" in found else []

    def captions(self, lang: str) -> Iterator[Located]:
        """Lines of all splits; a split that English has and this language lacks is said to be missing."""
        langs = self.languages()
        for split, files in self._files().items():
            if lang not in files:
                if "en" in files:
                    yield f"{files['en'].parent}/{SPLITS[split][0]}.{lang}", None, "the file is not there"
                continue
            path, place = files[lang], files[lang].parent
            texts = read_lines(path)
            english = read_lines(files["en"]) if lang != "en" and "en" in files else None
            names = image_names(place, SPLITS[split])
            check_aligned(path, texts, names, english)
            machine = translations.load(self._around(), lang, langs, len(texts), partial(_file_of, split))
            yield from machine.skipped
            for index, row in enumerate(rows_of(texts, lang, split, names, english)):
                yield str(path), index + 1, machine.add_to(row, index)

    def provenance(self, langs: Sequence[str]) -> Mapping[str, str]:
        """Name the folders of machine translations."""
        return translations.provenance(self._around())

    def parallel_texts(self, limit: int | None = None) -> list[Text]:
        """The files themselves, machine translations included."""
        del limit
        return from_files(self.path)

    def _place(self) -> Path | None:
        """Return the folder that holds the captions themselves."""
        places = (self.path / place for place in _PLACES)
        return next((place for place in places if any("en" in files for files in _files_in(place).values())), None)

    def _files(self) -> dict[str, dict[str, Path]]:
        """Return the files of each split by language."""
        place = self._place()
        return {} if place is None else _files_in(place)

    def _around(self) -> list[Path]:
        """Return where folders of machine translations may lie."""
        place = self._place() or self.path
        return list(dict.fromkeys((self.path, place, place.parent)))


def rows_of(
    texts: Sequence[str], lang: str, split: str, names: Sequence[str] | None, english: Sequence[str] | None = None
) -> Iterator[Row]:
    """Yield a row for each line, with the image's name and the English caption in the same line."""
    for index, text in enumerate(texts):
        image = Path(names[index]) if names and names[index] else None
        group = str(image) if image else f"{split}-{index}"
        yield Row(text, lang, image, english=english[index] if english else None, split=split, group=group)


def image_names(place: Path, stems: Sequence[str]) -> list[str] | None:
    """Return the images' names of a split, from the list beside the captions or in ``image_splits``."""
    beside = first_file(place, (f"{stem}.images.txt" for stem in stems))
    endings = (".txt", "_images.txt", ".images.txt")
    apart = first_file(place.parent / "image_splits", (f"{stem}{ending}" for stem in stems for ending in endings))
    path = beside or apart
    return None if path is None else [line.strip() for line in read_lines(path)]


def _files_in(folder: Path) -> dict[str, dict[str, Path]]:
    found: dict[str, dict[str, Path]] = {split: {} for split in SPLITS}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        stem, _, code = path.name.removesuffix(".gz").removesuffix(".txt").rpartition(".")
        split = next((split for split, names in SPLITS.items() if stem in names), None)
        if split and code not in _OTHER and path.is_file() and (lang := language_or_none(code)):
            found[split].setdefault(lang, path)
    return {split: files for split, files in found.items() if files}


def _file_of(split: str, place: Path, lang: str) -> Path | None:
    return _files_in(place).get(split, {}).get(lang)
