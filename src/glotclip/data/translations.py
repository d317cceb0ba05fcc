"""Machine translations that lie line by line beside human captions, as PECT's authors release them.

Two folders beside the captions: ``translated_from_en`` (or ``from_english``), the English captions translated
into each language, and ``translated_to_en`` (or ``to_english``), the captions of each language translated into
English. Released files can be wrong: PECT's Korean from-English file for XTD10 is a copy of the Italian one.
A file found twice is therefore used only where its script fits the language, and listed otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from glotclip.data.corpus_folder import Located
from glotclip.data.encodings import read_lines
from glotclip.data.parallel import FROM_ENGLISH, TO_ENGLISH, wrong_script
from glotclip.data.parallel_files import TRANSLATED_FOLDERS
from glotclip.data.schema import Row


class Translations(NamedTuple):
    """The machine texts of one language and split: lines by kind, and what had to be left out."""

    lines: Mapping[str, Sequence[str]]
    skipped: tuple[Located, ...]

    def add_to(self, row: Row, index: int) -> Row:
        """Give the row of line ``index`` (from 0) its machine texts."""
        texts = {kind: lines[index] for kind, lines in self.lines.items()}
        return replace(row, to_english=texts.get(TO_ENGLISH), from_english=texts.get(FROM_ENGLISH)) if texts else row


def folders(places: Iterable[Path]) -> dict[str, Path]:
    """Return the folder of each kind of machine text, the first found below ``places``."""
    found: dict[str, Path] = {}
    for place in places:
        for kind, names in TRANSLATED_FOLDERS.items():
            for name in names:
                if (place / name).is_dir():
                    found.setdefault(kind, place / name)
    return found


def provenance(places: Iterable[Path]) -> dict[str, str]:
    """Name the folder of each kind of machine text."""
    return {kind: f"machine translations as released, folder {path.name}" for kind, path in folders(places).items()}


def load(
    places: Iterable[Path], lang: str, langs: Sequence[str], rows: int, file_of: Callable[[Path, str], Path | None]
) -> Translations:
    """Read the machine texts of ``lang`` for ``rows`` captions.

    Args:
        places: where the folders lie.
        lang: the language of the human captions.
        langs: all languages of the dataset, among which a file may occur twice.
        rows: how many lines the human captions have; a file with another number is left out.
        file_of: (folder, language) → the file of the split.
    """
    lines: dict[str, list[str]] = {}
    skipped: list[Located] = []
    for kind, place in folders(places).items() if lang != "en" else ():
        path = file_of(place, lang)
        if path is None:
            continue
        text = read_lines(path)
        others = {code: file_of(place, code) for code in langs if code not in (lang, "en")}
        same = [code for code, other in others.items() if other is not None and read_lines(other) == text]
        theirs = kind != FROM_ENGLISH or not _fits(text, lang) or any(_fits(text, code) for code in same)
        if len(text) != rows:
            skipped.append((str(path), None, f"it has {len(text)} lines for {rows} captions, so it is left out"))
        elif same and theirs:
            skipped.append((str(path), None, f"it is the same file as for {', '.join(same)}, so it is left out"))
        else:
            lines[kind] = text
    return Translations(lines, tuple(skipped))


def _fits(lines: Sequence[str], lang: str) -> bool:
    """Whether most lines are written in the script of ``lang``."""
    return wrong_script(lines, lang) <= len(lines) / 2
