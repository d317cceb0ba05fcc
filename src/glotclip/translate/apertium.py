"""Apertium: rule-based translation by a program of that name, wholly offline.

Two things have to be known about it. Ends of lines are only spaces to it, so captions without a full stop run into
one another: words move between captions, lines get lost. An empty line between captions is a boundary that its text
format keeps, and makes it close the sentence. And a process takes half a second to start, so texts go through it by
thousands.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

from glotclip.errors import LanguageError, MissingExtraError
from glotclip.languages import normalise
from glotclip.translate.engine import BatchEngine, Pair, folder_digest, pivots, through
from glotclip.translate.lines import run_program

#: Unknown to the source dictionary, to the bilingual one, to the generator. ``-u`` hides most of them.
_MARK = re.compile(r"(?<!\S)[*@#](?=[^\W\d_])")
_BOUNDARY = re.compile(r"\n[ \t]*\n")
_INSTALL = "apt-get install apertium apertium-eng-spa (or another pair: apt-cache search '^apertium-')"


class ApertiumEngine(BatchEngine):
    """Apertium with every pair that is installed, and with pivots where there is no direct one.

    Words it does not know stay as they are, without its marks.

    Raises:
        MissingExtraError: if the program is not installed.
    """

    name = "apertium"
    chunk = 2000

    def __init__(self) -> None:
        program = shutil.which("apertium")
        if program is None:
            raise MissingExtraError("the program 'apertium' is not installed", hint=_INSTALL)
        self.program = program

    @cached_property
    def version(self) -> str:
        """The program's version and, where they lie beside it, that of the pairs' data."""
        said = self._run("-V").split()
        data = Path(self.program).resolve().parents[1] / "share" / "apertium"
        return f"{said[-1] if said else 'unknown'}+{folder_digest(data, '*/*')}"

    @cached_property
    def modes(self) -> dict[Pair, str]:
        """Apertium's modes by their pairs of BCP-47 codes."""
        modes: dict[Pair, str] = {}
        for mode in self._run("-l").split():
            codes = mode.split("-")
            if len(codes) != 2:
                continue
            try:
                modes.setdefault((normalise(codes[0]), normalise(codes[1])), mode)
            except LanguageError:
                continue  # eng-cat_iec2017 and its like: spelling reforms that BCP-47 does not name
        return modes

    def modes_between(self, source: str, target: str) -> list[str]:
        """Return the modes that lead from one language to another, one after the other."""
        chain = pivots(list(self.modes), source, target, engine="apertium", hint=f"install a pair: {_INSTALL}")
        return [self.modes[pair] for pair in chain]

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Send the texts through every mode that leads there."""
        answers = list(texts)
        for mode in self.modes_between(source, target):
            answers = through(answers, partial(self._translate, mode))
        return answers

    def _translate(self, mode: str, texts: Sequence[str]) -> list[str]:
        """Translate with one mode, without its marks."""
        written = self._written(mode, texts)
        return [_without_marks(answer, text) for answer, text in zip(written, texts, strict=True)]

    def _written(self, mode: str, texts: Sequence[str]) -> list[str]:
        """What a mode makes of texts. Where a boundary is lost all the same, they go again in two halves."""
        if not texts:
            return []
        written = self._run("-u", mode, text="\n\n".join(texts) + "\n\n")
        if len(texts) == 1:
            return [" ".join(written.split())]
        paragraphs = _BOUNDARY.split(written.removesuffix("\n").removesuffix("\n"))
        if len(paragraphs) == len(texts):
            return [" ".join(paragraph.split()) for paragraph in paragraphs]
        middle = len(texts) // 2
        return [*self._written(mode, texts[:middle]), *self._written(mode, texts[middle:])]

    def _run(self, *arguments: str, text: str = "") -> str:
        # The wrapper refuses to work in a locale that is not UTF-8, such as a container's.
        return run_program([self.program, *arguments], text, environment={**os.environ, "LC_ALL": "C.UTF-8"})


def _without_marks(answer: str, asked: str) -> str:
    """Remove marks before words, unless the text had such signs itself."""
    return answer if _MARK.search(asked) else _MARK.sub("", answer)
