"""Conceptual Captions (CC3M) with UC2's machine translations: ``train_imageId2Ann_LANG.tsv``, one file a language.

A line is number, address, caption and ``success`` or ``fail``, without a header; a caption marked as failed is left
out. Lines are matched by number, since a file may lack some. CC3M's images are fetched one by one from addresses of
which many are dead: a caption whose image is missing stays as text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from glotclip.data.corpus_folder import CorpusFolder, Located, english_first
from glotclip.data.dataset import register
from glotclip.data.encodings import read_lines
from glotclip.data.schema import Corpus, Row, language_or_none

_SPLITS = {"train": "train", "val": "validation"}
_STEM = "_imageId2Ann_"
_PLACES = ("", "uc2_6langs", "raw")


@register
class CC3M(CorpusFolder):
    """English alt texts and their machine translations; a row's group is the image's number, eight digits."""

    name = "cc3m-uc2"
    image_places = ("images", "train", "../images", "../cc3m/images")
    keeps_text = True

    def languages(self) -> list[str]:
        """English first."""
        return english_first(lang for _, lang in self._files())

    def captions(self, lang: str) -> Iterator[Located]:
        """The captions that are not marked as failed."""
        files = self._files()
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

    def provenance(self, langs: Sequence[str]) -> Mapping[str, str]:
        """All languages but English are machine-translated."""
        return {
            lang: "machine translation of the English caption, released with UC2" for lang in langs if lang != "en"
        }

    def _files(self) -> dict[tuple[str, str], Path]:
        """Return the files by (split, language)."""
        found: dict[tuple[str, str], Path] = {}
        for inner in (self.path / place for place in _PLACES):
            for prefix, split in _SPLITS.items():
                for path in sorted(inner.glob(f"{prefix}{_STEM}*.tsv*")) if inner.is_dir() else []:
                    code = path.name.removesuffix(".gz").removesuffix(".tsv").removeprefix(prefix + _STEM)
                    if lang := language_or_none(code):
                        found.setdefault((split, lang), path)
        return found


def sample(corpus: Corpus, images: int = 300_000, seed: int = 42) -> Corpus:
    """Keep ``images`` random ones of those that have a caption in every language of ``corpus``.

    MLA (section 4.1) trains on such a sample of 300,000, which it calls CC300K; which 300,000 it drew cannot be told.
    """
    groups = [{row.group for row in corpus.rows if row.lang == lang} for lang in corpus.languages]
    common = sorted(group for group in set.intersection(*groups) if group is not None) if groups else []
    random.Random(seed).shuffle(common)
    kept = set(common[:images])
    return replace(corpus, rows=tuple(row for row in corpus.rows if row.group in kept))


def _lines(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """Yield (line, image, caption, what is wrong: nothing, ``fail``, or a reason)."""
    for line, content in enumerate(read_lines(path), start=1):
        if not content.strip():
            continue
        cells = content.split("\t")
        if len(cells) != 4 or not cells[0].strip().isdigit() or cells[3].strip() not in ("success", "fail"):
            yield line, "", "", "the line is not number, address, caption and success or fail"
            continue
        yield line, f"{int(cells[0]):08d}", cells[2], "fail" if cells[3].strip() == "fail" else ""
