"""Dictionaries and translation memories by their formats: TEI, TMX, Wiktextract, PanLex. All are read as streams."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from glotclip.data.dataset import register
from glotclip.data.dictionaries import tmx, wiktextract
from glotclip.data.dictionaries.panlex import TABLES, PanLex, PanLexLanguage
from glotclip.data.dictionaries.sources import PairDataset, PairSource
from glotclip.data.dictionaries.tei import Tei, looks_like_tei
from glotclip.data.dictionaries.tmx import Tmx
from glotclip.data.dictionaries.wiktextract import Wiktextract
from glotclip.data.streaming import TextFile, text_files
from glotclip.languages import normalise


@register
class TeiFile(PairDataset):
    """One dictionary in TEI, such as FreeDict's ``deu-eng.tei``."""

    precedence = 0
    no_use_for = ("images", "hold_out", "encoding", "max_skipped")
    no_use_since = "is a dictionary in TEI"

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether it is called ``.tei``, or is XML that names TEI."""
        file = TextFile(Path(data))
        ending = Path(file.name).suffix.lower()
        return file.path.is_file() and (ending == ".tei" or (ending == ".xml" and looks_like_tei(file)))

    @cached_property
    def _tei(self) -> Tei:
        given = self.options.default_lang
        return Tei(TextFile(self.path), normalise(given) if given else None)

    def pair_sources(self, langs: Sequence[str] | None) -> Sequence[PairSource]:
        """The dictionary."""
        del langs
        return (self._tei,)


@register
class TmxFile(PairDataset):
    """A translation memory, of one or more languages with English."""

    precedence = 0
    closed = False
    no_use_for = ("images", "hold_out", "encoding", "max_skipped", "default_lang")
    no_use_since = "is a translation memory, which says its languages"

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether it is called ``.tmx``, or is an archive of one such file."""
        return Path(data).is_file() and _only(Path(data), ".tmx") is not None

    @cached_property
    def _languages(self) -> list[str]:
        return tmx.languages_in(self._file)

    @cached_property
    def _file(self) -> TextFile:
        file = _only(self.path, ".tmx")
        assert file is not None  # recognised
        return file

    def pair_sources(self, langs: Sequence[str] | None) -> Sequence[PairSource]:
        """A source for each language."""
        return [Tmx(self._file, lang) for lang in (self._languages if langs is None else langs)]


@register
class WiktextractFile(PairDataset):
    """Wiktextract's JSON lines, of one language or of all."""

    precedence = 0
    prefix = "wiktextract"
    closed = False
    trusted = True
    no_use_for = ("images", "hold_out", "encoding", "max_skipped", "default_lang")
    no_use_since = "is Wiktextract's, which says its languages"

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether it is JSON lines of which the first is an entry."""
        file = TextFile(Path(data))
        named = file.path.is_file() and Path(file.name).suffix.lower() in (".jsonl", ".json", ".ndjson")
        return named and wiktextract.is_wiktextract(file)

    @cached_property
    def _languages(self) -> list[str]:
        return wiktextract.languages_in(TextFile(self.path))

    def pair_sources(self, langs: Sequence[str] | None) -> Sequence[PairSource]:
        """A source for each language; without any named, for those that its beginning has."""
        return [Wiktextract(TextFile(self.path), lang) for lang in (self._languages if langs is None else langs)]


@register
class PanLexFolder(PairDataset):
    """PanLex's tables in a folder, or in the zip archive that they come in."""

    precedence = 0
    prefix = "panlex"
    trusted = True
    no_use_for = ("images", "hold_out", "encoding", "max_skipped", "default_lang")
    no_use_since = "is PanLex's, which says its languages"

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether all three tables are there."""
        path = Path(data)
        usable = path.is_dir() or (path.is_file() and path.suffix.lower() == ".zip")
        return usable and set(TABLES) <= {file.name for file in text_files(path)}

    @cached_property
    def _tables(self) -> PanLex:
        return PanLex({file.name: file for file in text_files(self.path) if file.name in TABLES})

    def pair_sources(self, langs: Sequence[str] | None) -> Sequence[PairSource]:
        """A source for each language."""
        every = [lang for lang in self._tables.varieties if lang.split("-")[0] != "en"]
        return [PanLexLanguage(self._tables, lang) for lang in every if langs is None or lang in langs]


def _only(path: Path, ending: str) -> TextFile | None:
    """The file itself or the one in an archive, if it is of a kind."""
    if path.suffix.lower() != ".zip":
        file = TextFile(path)
        return file if file.name.lower().endswith(ending) else None
    members = [each for each in text_files(path) if each.name.lower().endswith(ending)]
    return members[0] if len(members) == 1 else None
