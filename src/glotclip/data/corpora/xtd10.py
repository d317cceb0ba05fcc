"""XTD10: 1,000 pictures of COCO with one caption in each of eleven languages; a test set.

The owner's layout keeps the captions collected for it in ``XTD10``, German and French of the Multilingual Image
Corpus in ``MIC``, and Japanese of STAIR in ``STAIR``; one folder with all of them (PECT's ``all``) is read as well.
Japanese is written ``jp`` there. The Japanese captions describe the pictures independently: they are no translations,
so those rows have no English counterpart. Machine translations beside the folders become companions of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from glotclip.data.corpora import companions
from glotclip.data.corpora.karpathy import COCO_PLACES
from glotclip.data.corpora.layout import Layout, Located, check_aligned, first, lines_of
from glotclip.data.schema import Row, known_language
from glotclip.errors import LanguageError

_PLACES = ("XTD10", "STAIR", "MIC", "all", "")
_STEM = "test_1kcaptions_"
_INDEPENDENT = "ja"


class XTD10(Layout):
    """Eleven languages; a row's group is the name of COCO's picture."""

    name = "xtd10"
    licence = "XTD10: Adobe Research, non-commercial; MIC and STAIR: their owners' terms; pictures: Flickr's terms"
    needs = "XTD10/test_1kcaptions_es.txt, … MIC/…_de.txt, STAIR/…_jp.txt and XTD10/test_image_names.txt"
    picture_places = COCO_PLACES

    def languages(self, folder: Path) -> list[str]:
        """English first."""
        return sorted(_files(folder), key=lambda code: (code != "en", code))

    def captions(self, folder: Path, lang: str) -> Iterator[Located]:
        """One line a picture."""
        files = _files(folder)
        names = _picture_names(folder)
        if names is None:
            yield str(folder), None, "test_image_names.txt is not there, so captions have no pictures"
        texts = lines_of(files[lang])
        english = lines_of(files["en"]) if "en" in files and lang not in ("en", _INDEPENDENT) else None
        check_aligned(files[lang], texts, names, english)
        beside = companions.load(companions.folders((folder,)), lang, list(files), len(texts), _machine_file)
        yield from beside.skipped
        for index, text in enumerate(texts):
            name = names[index] if names else None
            row = Row(
                text,
                lang,
                image=_picture(name) if name else None,
                english=english[index] if english else None,
                split="test",
                group=name or f"test-{index}",
            )
            yield str(files[lang]), index + 1, beside.of(index, row)

    def provenance(self, folder: Path, langs: Sequence[str]) -> Mapping[str, str]:
        """Name the folders of machine translations."""
        del langs
        found = companions.folders((folder,))
        return {kind: f"machine translations as released, folder {path.name}" for kind, path in found.items()}


def _files(folder: Path) -> dict[str, Path]:
    """Return the caption file of each language, the first found in the places."""
    found: dict[str, Path] = {}
    for place in _PLACES:
        inner = folder / place
        for path in sorted(inner.glob(f"{_STEM}*.txt*")) if inner.is_dir() else []:
            code = path.name.removesuffix(".gz").removesuffix(".txt").removeprefix(_STEM)
            try:
                found.setdefault(known_language(code), path)
            except LanguageError:
                continue  # a copy or a backup, not a language
    return found


def _machine_file(place: Path, lang: str) -> Path | None:
    return first(place, [f"{lang}.txt"] + (["jp.txt"] if lang == "ja" else []))


def _picture_names(folder: Path) -> list[str] | None:
    path = first(folder, (f"{place}/test_image_names.txt" for place in _PLACES))
    return None if path is None else [line.strip() for line in lines_of(path)]


def _picture(name: str) -> Path:
    """``COCO_val2014_…jpg`` lies in COCO's folder ``val2014``."""
    parts = name.split("_")
    return Path(parts[1] if len(parts) == 3 else "", name)


XTD = XTD10()
