"""A list of texts and their English: a tab-separated file, MUSE's dictionaries, ManyThings' sentences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from glotclip.data.dataset import register
from glotclip.data.dictionaries.sources import PairDataset, PairSource
from glotclip.data.dictionaries.word_lists import WordList, is_list
from glotclip.data.streaming import TextFile, text_files
from glotclip.languages import normalise

_ENDINGS = (".tsv", ".tab", ".txt", ".dict", ".lst")


@register
class WordLists(PairDataset):
    """One such file, plain or compressed, or ManyThings' archive (``deu-eng.zip``)."""

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether it has two columns and no header of a caption file."""
        path = Path(data)
        return path.is_file() and (file := _list_in(path)) is not None and is_list(file)

    @cached_property
    def _list(self) -> WordList:
        file = _list_in(self.path)
        assert file is not None  # recognised
        given = self.options.default_lang
        return WordList(file, normalise(given) if given else None, self.options.encoding)

    def pair_sources(self, langs: Sequence[str] | None) -> Sequence[PairSource]:
        """The list."""
        del langs
        return (self._list,)


def _list_in(path: Path) -> TextFile | None:
    """The file itself, or the one list in an archive beside what tells of it."""
    if path.suffix.lower() != ".zip":
        file = TextFile(path)
        return file if Path(file.name).suffix.lower() in _ENDINGS else None
    members = [each for each in text_files(path) if each.name.endswith(_ENDINGS) and not each.name.startswith("_")]
    return members[0] if len(members) == 1 else None
