"""Multi30K task 1: English captions of Flickr30K pictures and their human translations, line by line.

The owner's layout is ``data/task1/raw/SPLIT.LANG.gz`` and ``data/task1/image_splits/SPLIT.txt``; files side by
side in one folder (``train.de.gz`` beside ``train.images.txt``) or in a folder ``human`` are read as well. Machine
translations beside them (:mod:`glotclip.data.corpora.companions`) become companions of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from glotclip.data.corpora import companions
from glotclip.data.corpora.layout import Layout, Located, check_aligned, first, lines_of
from glotclip.data.schema import Row, known_language
from glotclip.errors import LanguageError

#: Our split → the names its files go by.
SPLITS = {"train": ("train",), "validation": ("val",), "test": ("test_2016_flickr", "test_2016", "test")}
PICTURE_PLACES = tuple(
    f"{up}{name}" for up in ("", "../", "../../", "../../../") for name in ("flickr30k-images", "flickr30k_images")
)
LICENCE = "Multi30K: research use; Flickr30K's pictures: Flickr's terms"
_PLACES = ("", "human", "raw", "task1/raw", "data/task1/raw")
# Endings of other files that may lie there; some of them would pass for language codes.
_OTHER = frozenset({"images", "csv", "tsv", "json", "jsonl", "md", "py", "sh", "tok", "bpe"})


class Multi30K(Layout):
    """Task 1; a row's group is the picture's name."""

    name = "multi30k"
    licence = LICENCE
    needs = "train.en.gz, train.de.gz, … and train.images.txt (also packed), or Multi30K's data/task1"
    picture_places = PICTURE_PLACES

    def languages(self, folder: Path) -> list[str]:
        """English first; without English it is another dataset."""
        found = dict.fromkeys(lang for files in _find(folder).values() for lang in files)
        return [lang for lang in found if lang == "en"] + sorted(set(found) - {"en"}) if "en" in found else []

    def captions(self, folder: Path, lang: str) -> Iterator[Located]:
        """Lines of all splits; a split that English has and this language lacks is said to be missing."""
        machine = companions.folders(_companion_places(folder))
        langs = self.languages(folder)
        for split, files in _find(folder).items():
            if lang not in files:
                if "en" in files:
                    yield f"{files['en'].parent}/{SPLITS[split][0]}.{lang}", None, "the file is not there"
                continue
            texts = lines_of(files[lang])
            english = lines_of(files["en"]) if lang != "en" and "en" in files else None
            names = _picture_names(files[lang].parent, split)
            check_aligned(files[lang], texts, names, english)
            beside = companions.load(
                machine,
                lang,
                langs,
                len(texts),
                partial(_file_of, split),
            )
            yield from beside.skipped
            for index, text in enumerate(texts):
                name = names[index] if names else None
                row = Row(
                    text,
                    lang,
                    image=Path(name) if name else None,
                    english=english[index] if english else None,
                    split=split,
                    group=name or f"{split}-{index}",
                )
                yield str(files[lang]), index + 1, beside.of(index, row)

    def provenance(self, folder: Path, langs: Sequence[str]) -> Mapping[str, str]:
        """Name the folders of machine translations."""
        del langs
        found = companions.folders(_companion_places(folder))
        return {kind: f"machine translations as released, folder {path.name}" for kind, path in found.items()}


def _place(folder: Path) -> Path | None:
    """Return the folder that holds the captions themselves."""
    return next((folder / place for place in _PLACES if "en" in _codes(folder / place)), None)


def _codes(folder: Path) -> set[str]:
    return {lang for files in _find_in(folder).values() for lang in files}


def _find(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the files of each split by language."""
    place = _place(folder)
    return {} if place is None else _find_in(place)


def _find_in(folder: Path) -> dict[str, dict[str, Path]]:
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        stem, _, code = path.name.removesuffix(".gz").removesuffix(".txt").rpartition(".")
        for split, names in SPLITS.items():
            if stem not in names or code in _OTHER or not path.is_file():
                continue
            try:
                found.setdefault(split, {}).setdefault(known_language(code), path)
            except LanguageError:
                continue  # another file of that name, not a language
    return {split: found[split] for split in SPLITS if split in found}


def _file_of(split: str, place: Path, lang: str) -> Path | None:
    return _find_in(place).get(split, {}).get(lang)


def _picture_names(place: Path, split: str) -> list[str] | None:
    beside = first(place, (f"{name}.images.txt" for name in SPLITS[split]))
    apart = first(place.parent / "image_splits", (f"{name}.txt" for name in SPLITS[split]))
    path = beside or apart
    return None if path is None else lines_of(path)


def _companion_places(folder: Path) -> list[Path]:
    place = _place(folder) or folder
    return list(dict.fromkeys((folder, place, place.parent)))


MULTI30K = Multi30K()
