"""Caption files of a user's own: a table, or a folder of images with captions beside them."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from glotclip.data import readers
from glotclip.data.dataset import PathDataset, register
from glotclip.data.holdout import hold_out
from glotclip.data.reading import HOLD_OUT
from glotclip.data.schema import Corpus, check_share


@register
class CaptionFiles(PathDataset):
    """Whatever no other kind recognises; see :mod:`glotclip.data.readers`."""

    precedence = -2

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether there is such a file or folder; what is wrong with it is said when it is read."""
        return Path(data).exists()

    def read(self) -> Corpus:
        """All captions."""
        return self._read

    def rows(self) -> Corpus:
        """All captions, those held out for testing marked as such; too many that cannot be used are an error."""
        check_share(self._read, self.options.max_skipped)
        return self._divided

    @cached_property
    def _read(self) -> Corpus:
        of = self.options
        return readers.read(self.path, default_lang=of.default_lang, images=of.folder, encoding=of.encoding)

    @cached_property
    def _divided(self) -> Corpus:
        of, corpus = self.options, self._read
        if corpus.divided and of.hold_out not in (0, HOLD_OUT):
            unused = f"--hold-out {of.hold_out:g} is not used: the data says which rows are for testing"
            return replace(corpus, notes=(*corpus.notes, unused))
        home = self.path if self.path.is_dir() else self.path.parent
        return hold_out(corpus, of.hold_out, of.folder or home)
