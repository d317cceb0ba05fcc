"""Conceptual Captions (CC3M) with UC2's machine translations: ``train_imageId2Ann_LANG.tsv``, one file a language.

A line is number, address, caption and ``success`` or ``fail``, without a header; a caption marked as failed is left
out. Lines are matched by number, since a file may lack some. CC3M's pictures are fetched one by one from addresses of
which many are dead: a caption whose picture is missing stays as text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from glotclip.data.corpora.layout import Layout, Located, lines_of
from glotclip.data.schema import Corpus, Row, known_language
from glotclip.errors import LanguageError

_PARTS = {"train": "train", "val": "validation"}
_STEM = "_imageId2Ann_"
_PLACES = ("", "uc2_6langs", "raw")


class CC3M(Layout):
    """English alt texts and their machine translations; a row's group is the picture's number, eight digits."""

    name = "cc3m-uc2"
    licence = "Conceptual Captions: Google's terms, free use with attribution; translations: UC2, research use"
    needs = "train_imageId2Ann_en.tsv, train_imageId2Ann_de.tsv, …"
    picture_places = ("images", "train", "../images", "../cc3m/images")
    keeps_text = True

    def languages(self, folder: Path) -> list[str]:
        """English first."""
        codes = {lang for _, lang in _files(folder)}
        return sorted(codes, key=lambda code: (code != "en", code))

    def captions(self, folder: Path, lang: str) -> Iterator[Located]:
        """The captions that are not marked as failed."""
        files = _files(folder)
        for (split, code), path in files.items():
            if code != lang:
                continue
            source = files.get((split, "en")) if lang != "en" else None
            english = {key: text for _, key, text, _ in _lines(source)} if source else {}
            failed = 0
            for line, key, text, reason in _lines(path):
                if reason == "fail":
                    failed += 1
                elif reason:
                    yield str(path), line, reason
                else:
                    row = Row(text, lang, image=Path(f"{key}.jpg"), english=english.get(key), split=split, group=key)
                    yield str(path), line, row
            if failed:
                yield str(path), None, f"{failed} captions are marked as failed by UC2"

    def provenance(self, folder: Path, langs: Sequence[str]) -> Mapping[str, str]:
        """All languages but English are machine-translated."""
        del folder
        return {
            lang: "machine translation of the English caption, released with UC2" for lang in langs if lang != "en"
        }


def sample(corpus: Corpus, pictures: int = 300_000, seed: int = 42) -> Corpus:
    """Keep ``pictures`` random ones of those that have a caption in every language of ``corpus``.

    MLA (section 4.1) trains on such a sample of 300,000, which it calls CC300K; which 300,000 it drew cannot be told.
    """
    groups = [{row.group for row in corpus.rows if row.lang == lang} for lang in corpus.languages]
    common = sorted(group for group in set.intersection(*groups) if group is not None) if groups else []
    random.Random(seed).shuffle(common)
    kept = set(common[:pictures])
    return replace(corpus, rows=tuple(row for row in corpus.rows if row.group in kept))


def _files(folder: Path) -> dict[tuple[str, str], Path]:
    """Return the files by (split, language)."""
    found: dict[tuple[str, str], Path] = {}
    for place in _PLACES:
        inner = folder / place
        for part, split in _PARTS.items():
            for path in sorted(inner.glob(f"{part}{_STEM}*.tsv*")) if inner.is_dir() else []:
                code = path.name.removesuffix(".gz").removesuffix(".tsv").removeprefix(part + _STEM)
                try:
                    found.setdefault((split, known_language(code)), path)
                except LanguageError:
                    continue  # a copy or a backup, not a language
    return found


def _lines(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """Yield (line, picture, caption, what is wrong: nothing, ``fail``, or a reason)."""
    for line, content in enumerate(lines_of(path), start=1):
        if not content.strip():
            continue
        cells = content.split("\t")
        if len(cells) != 4 or not cells[0].strip().isdigit() or cells[3].strip() not in ("success", "fail"):
            yield line, "", "", "the line is not number, address, caption and success or fail"
            continue
        yield line, f"{int(cells[0]):08d}", cells[2], "fail" if cells[3].strip() == "fail" else ""


CC3M_UC2 = CC3M()
