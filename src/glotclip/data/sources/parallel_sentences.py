"""Parallel sentences in line-aligned files: OPUS's Moses format, Tatoeba's pairs, NTREX, FLORES.

Each is recognised by the files in a folder (or in OPUS's zip archive), or named: ``tatoeba:DIR``, ``ntrex:DIR``,
``flores:DIR``, ``moses:DIR``. Each language of a folder is a source of its own; only those asked for are read.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from glotclip.data import catalog
from glotclip.data.dataset import register
from glotclip.data.dictionaries.aligned import Aligned
from glotclip.data.dictionaries.codes import usual_language
from glotclip.data.dictionaries.sources import PairDataset, PairSource
from glotclip.data.licences import OWN, Licence
from glotclip.data.reading import ReadingOptions
from glotclip.data.streaming import TextFile, text_files
from glotclip.errors import DataError

# Endings that pass for language codes (Church Slavonic is cu, Somali so) and are none.
_NO_LANGUAGES = frozenset({"txt", "tsv", "csv", "json", "xml", "ids", "scores", "md", "py", "sh", "so", "log", "zip"})


class AlignedFolder(PairDataset):
    """What such folders have in common.

    Attributes:
        prefix: the catalogue's name as well.
    """

    name: str
    expected: ClassVar[str]

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether it is named so, or the files of a folder or archive are."""
        if data.partition(":")[0] == cls.prefix and not Path(data).exists():
            return True
        path = Path(data)
        usable = path.is_dir() or (path.is_file() and path.suffix.lower() == ".zip")
        return usable and next(cls(path).found(), None) is not None

    @classmethod
    def open(cls, data: str, options: ReadingOptions) -> Self:
        """Open a folder, named by its path or with the prefix.

        Raises:
            DataError: if it does not hold such files.
        """
        options.refuse(f"{data}, which {cls.no_use_since}", cls.no_use_for)
        path = cls.path_in(data)
        made = cls(path, options)
        if not path.exists():
            raise DataError(f"{path} does not exist", hint=f"name the folder: {cls.prefix}:DIR")
        if not made.languages():
            raise DataError(f"{path} holds no files of {cls.prefix}", hint=f"expected {cls.expected}")
        return made

    @abstractmethod
    def found(self) -> Iterator[tuple[str, TextFile, TextFile]]:
        """Yield language, its file and the English one."""

    @cached_property
    def _aligned(self) -> list[Aligned]:
        return [
            Aligned(texts.name, lang, texts, english, self.terms(lang, texts), self.options.encoding)
            for lang, texts, english in self.found()
        ]

    def terms(self, lang: str, texts: TextFile) -> Licence:
        """The terms of one file, as the catalogue says."""
        del lang
        entry = catalog.datasets().get(self.prefix)
        if entry is None:
            return Licence(texts.name, OWN, str(texts))
        return Licence(f"{self.prefix} {texts.name}", entry.spdx, entry.source, entry.url)

    def pair_sources(self, langs: Sequence[str] | None) -> Sequence[PairSource]:
        """The files of some languages, or of all."""
        return [each for each in self._aligned if langs is None or each.lang in langs]


@register
class Ntrex(AlignedFolder):
    """NTREX-128: ``newstest2019-src.eng.txt`` and ``newstest2019-ref.XXX.txt``, by professional translators."""

    name = prefix = "ntrex"
    trusted = True
    expected = "newstest2019-src.eng.txt and newstest2019-ref.deu.txt, … (also .gz)"
    _FILE = re.compile(r"newstest2019-ref(?:-\d)?\.(?P<code>[a-z]{3}(?:-[A-Za-z]+)?)\.txt$")

    def found(self) -> Iterator[tuple[str, TextFile, TextFile]]:
        """The references, each with the English source; English references are left out."""
        files = {file.name: file for file in text_files(self.path)}
        english = files.get("newstest2019-src.eng.txt")
        for name, file in files.items() if english else ():
            match = self._FILE.match(name)
            if match and (lang := usual_language(match["code"])) and lang.split("-")[0] != "en":
                assert english is not None
                yield lang, file, english


@register
class Flores(AlignedFolder):
    """FLORES-200: ``dev/deu_Latn.dev``, or the files beside one another. The split devtest is never trained on."""

    name = prefix = "flores"
    trusted = True
    expected = "eng_Latn.dev and deu_Latn.dev, … in it or in its folder dev"
    _FILE = re.compile(r"(?P<code>[a-z]{3}_[A-Z][a-z]{3})\.dev$")

    def found(self) -> Iterator[tuple[str, TextFile, TextFile]]:
        """The files of split dev."""
        import langcodes

        for place in (self.path, self.path / "dev"):
            files = {file.name: file for file in text_files(place)} if place.exists() else {}
            english = files.get("eng_Latn.dev")
            for name, file in files.items() if english else ():
                match = self._FILE.match(name)
                lang = usual_language(match["code"]) if match else None
                if lang is None or lang.split("-")[0] == "en":
                    continue
                # Flores names every script; the usual one goes without saying, save where there are several.
                plain = lang.split("-")[0]
                usual = langcodes.Language.get(plain).maximize().script == langcodes.Language.get(lang).script
                assert english is not None
                yield (plain if usual else lang), file, english


@register
class Moses(AlignedFolder):
    """``STEM.deu-eng.deu`` beside ``STEM.deu-eng.eng`` (Tatoeba, OPUS), or ``STEM.de`` beside ``STEM.en``."""

    name = prefix = "moses"
    expected = "pairs such as corpus.de-en.de and corpus.de-en.en, or train.de and train.en (also .gz)"

    def found(self) -> Iterator[tuple[str, TextFile, TextFile]]:
        """Each file whose name ends in a language, with its English twin."""
        files = {file.name: file for file in text_files(self.path)}
        for name, file in files.items():
            stem, _, code = name.rpartition(".")
            lang = usual_language(code) if code.lower() not in _NO_LANGUAGES else None
            if not stem or lang is None or lang.split("-")[0] == "en":
                continue
            pair = stem.rpartition(".")[2].split("-") if "-" in stem.rpartition(".")[2] else []
            if len(pair) == 2 and code not in pair:
                continue
            others = [other for other in pair if other != code] if pair else ["en", "eng"]
            for other in others:
                if usual_language(other) == "en" and f"{stem}.{other}" in files:
                    yield lang, file, files[f"{stem}.{other}"]
                    break

    def terms(self, lang: str, texts: TextFile) -> Licence:
        """Tatoeba's for its files, else the user's own."""
        if texts.name.lower().startswith("tatoeba"):
            entry = catalog.dataset("tatoeba")
            return Licence(f"tatoeba {texts.name}", entry.spdx, entry.source, entry.url)
        return Licence(texts.name, OWN, str(texts))


@register
class Tatoeba(Moses):
    """Tatoeba's sentences as pairs of files, ``tatoeba.deu-eng.deu`` and ``tatoeba.deu-eng.eng``."""

    name = prefix = "tatoeba"
    trusted = True
    precedence = 0

    def found(self) -> Iterator[tuple[str, TextFile, TextFile]]:
        """Those whose name begins with Tatoeba's."""
        return (each for each in super().found() if each[1].name.lower().startswith("tatoeba"))
