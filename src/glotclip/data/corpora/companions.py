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

from glotclip.data.corpora.layout import Located, lines_of
from glotclip.data.parallel import FROM_ENGLISH, TO_ENGLISH, wrong_script
from glotclip.data.schema import Row

#: What the folders are called, by the kind of text in them.
FOLDERS = {FROM_ENGLISH: ("from_english", "translated_from_en"), TO_ENGLISH: ("to_english", "translated_to_en")}


class Companions(NamedTuple):
    """The machine texts of one language and split: lines by kind, and what had to be left out."""

    lines: Mapping[str, Sequence[str]]
    skipped: tuple[Located, ...]

    def of(self, index: int, row: Row) -> Row:
        """Give the row of line ``index`` (from 0) its machine texts."""
        if not self.lines:
            return row
        texts = {kind: lines[index] for kind, lines in self.lines.items()}
        return replace(row, to_english=texts.get(TO_ENGLISH), from_english=texts.get(FROM_ENGLISH))


def folders(places: Iterable[Path]) -> dict[str, Path]:
    """Return the folder of each kind of machine text, the first found below ``places``."""
    found: dict[str, Path] = {}
    for place in places:
        for kind, names in FOLDERS.items():
            for name in names:
                if (place / name).is_dir():
                    found.setdefault(kind, place / name)
    return found


def load(
    places: Mapping[str, Path],
    lang: str,
    langs: Sequence[str],
    rows: int,
    file_of: Callable[[Path, str], Path | None],
) -> Companions:
    """Read the machine texts of ``lang`` for ``rows`` captions.

    Args:
        places: the folders, from :func:`folders`.
        lang: the language of the human captions.
        langs: all languages of the dataset, among which a file may occur twice.
        rows: how many lines the human captions have; a file with another number is left out.
        file_of: (folder, language) → the file of the split.
    """
    lines: dict[str, list[str]] = {}
    bad: list[Located] = []
    if lang == "en":
        return Companions(lines, ())
    for kind, place in places.items():
        path = file_of(place, lang)
        if path is None:
            continue
        text = lines_of(path)
        same = [code for code in langs if code not in (lang, "en") and _same(file_of(place, code), text)]
        if len(text) != rows:
            bad.append((str(path), None, f"it has {len(text)} lines for {rows} captions, so it is left out"))
        elif same and not (
            kind == FROM_ENGLISH and _fits(text, lang) and not any(_fits(text, code) for code in same)
        ):
            bad.append((str(path), None, f"it is the same file as for {', '.join(same)}, so it is left out"))
        else:
            lines[kind] = text
    return Companions(lines, tuple(bad))


def _same(path: Path | None, text: list[str]) -> bool:
    return path is not None and lines_of(path) == text


def _fits(lines: Sequence[str], lang: str) -> bool:
    """Whether most lines are written in the script of ``lang``."""
    return wrong_script(lines, lang) <= len(lines) / 2
