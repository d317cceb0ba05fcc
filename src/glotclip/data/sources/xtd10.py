"""XTD10: 1,000 images of COCO with one caption in each of eleven languages; a test set.

The owner's layout keeps the captions collected for it in ``XTD10``, German and French of the Multilingual Image
Corpus in ``MIC``, and Japanese of STAIR in ``STAIR``; one folder with all of them (PECT's ``all``) is read as well.
Japanese is written ``jp`` there. The Japanese captions describe the images independently: they are no translations,
so those rows have no English counterpart. Machine translations beside the folders join the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from glotclip.data import translations
from glotclip.data.corpus_folder import CorpusFolder, Located, check_aligned, english_first
from glotclip.data.dataset import register
from glotclip.data.encodings import first_file, read_lines
from glotclip.data.parallel import Text
from glotclip.data.parallel_files import from_files
from glotclip.data.schema import language_or_none
from glotclip.data.sources.karpathy import COCO_PLACES, coco_path
from glotclip.data.sources.multi30k import rows_of

_PLACES = ("XTD10", "STAIR", "MIC", "all", "")
_STEM = "test_1kcaptions_"
_INDEPENDENT = "ja"


@register
class XTD10(CorpusFolder):
    """Eleven languages; a row's group is the name of COCO's image."""

    name = "xtd10"
    image_places = COCO_PLACES

    def languages(self) -> list[str]:
        """English first."""
        return english_first(self._files())

    def captions(self, lang: str) -> Iterator[Located]:
        """One line an image."""
        files = self._files()
        list_of_images = first_file(self.path, (f"{place}/test_image_names.txt" for place in _PLACES))
        names = [line.strip() for line in read_lines(list_of_images)] if list_of_images else None
        if names is None:
            yield str(self.path), None, "test_image_names.txt is not there, so captions have no images"
        texts = read_lines(files[lang])
        english = read_lines(files["en"]) if "en" in files and lang not in ("en", _INDEPENDENT) else None
        check_aligned(files[lang], texts, names, english)
        machine = translations.load((self.path,), lang, list(files), len(texts), _machine_file)
        yield from machine.skipped
        for index, row in enumerate(rows_of(texts, lang, "test", names, english)):
            image = coco_path(str(row.image)) if row.image else None
            yield str(files[lang]), index + 1, machine.add_to(replace(row, image=image), index)

    def provenance(self, langs: Sequence[str]) -> Mapping[str, str]:
        """Name the folders of machine translations."""
        return translations.provenance((self.path,))

    def parallel_texts(self, limit: int | None = None) -> list[Text]:
        """The files themselves, machine translations included."""
        del limit
        return from_files(self.path)

    def _files(self) -> dict[str, Path]:
        """Return the caption file of each language, the first found in the places."""
        found: dict[str, Path] = {}
        for inner in (self.path / place for place in _PLACES):
            for path in sorted(inner.glob(f"{_STEM}*.txt*")) if inner.is_dir() else []:
                code = path.name.removesuffix(".gz").removesuffix(".txt").removeprefix(_STEM)
                if lang := language_or_none(code):
                    found.setdefault(lang, path)
        return found


def _machine_file(place: Path, lang: str) -> Path | None:
    return first_file(place, [f"{lang}.txt"] + (["jp.txt"] if lang == "ja" else []))
