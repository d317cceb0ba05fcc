"""English words and names worth a dictionary: what a base's tokenizer knows whole, and WordNet's nouns.

Translated by any engine, they are a dictionary for a language that has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from glotclip.errors import DataError

_WORD = re.compile(r"[a-z]{3,}")
_STARTS = ("▁", "Ġ")  # with which pieces begin that begin a word
_END = "</w>"  # with which they end in CLIP's
_INSIDE = "##"  # with which WordPiece's begin that do not


def whole_words(pieces: Iterable[str]) -> list[str]:
    """The English words among a tokenizer's pieces, sorted; small letters only, since names need no translation."""
    listed = list(pieces)
    marked = any(piece.startswith(_STARTS) for piece in listed)
    ended = any(piece.endswith(_END) for piece in listed)
    found = set()
    for piece in listed:
        if (
            piece.startswith(_INSIDE)
            or (marked and not piece.startswith(_STARTS))
            or (ended and not piece.endswith(_END))
        ):
            continue
        word = piece.lstrip("".join(_STARTS)).removesuffix(_END)
        if _WORD.fullmatch(word):
            found.add(word)
    return sorted(found)


def wordnet_nouns(file: Path) -> list[str]:
    """The nouns of WordNet's ``data.noun``, sorted; proper names are left out.

    Raises:
        DataError: if the file is not there, or none of WordNet's.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        entries = [line.split() for line in lines if line and not line.startswith(" ")]
        names = {word for entry in entries for word in entry[4 : 4 + 2 * int(entry[3], 16) : 2]}
    except (OSError, ValueError, IndexError) as error:
        raise DataError(
            f"{file} cannot be read as WordNet's nouns ({error})",
            hint="Debian's wordnet-base has it: /usr/share/wordnet/data.noun",
        ) from error
    return sorted(name.replace("_", " ") for name in names if name.islower())
