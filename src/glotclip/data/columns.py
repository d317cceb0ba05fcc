"""Which column of a caption file is what, by its header."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from glotclip.errors import DataError

#: Field → the headers it goes by, the first being ours. Upper and lower case, blanks and ``-`` do not matter.
SYNONYMS = {
    "text": ("text", "caption", "sentence", "title", "description", "alt_text"),
    "image": ("image", "image_path", "image_file", "image_name", "img", "file_name", "filename", "filepath", "path"),
    "video": ("video", "video_path", "video_file"),
    "lang": ("lang", "language", "language_code", "lang_code", "locale"),
    "english": ("english", "en", "english_text", "english_caption", "text_en", "caption_en"),
    "split": ("split", "subset", "partition"),
    "group": ("group", "group_id", "image_id", "concept"),
    "translations": ("translations",),
}
FIELDS = tuple(SYNONYMS)


def field_of(header: str) -> str | None:
    """Return the field that a header names, or ``None``."""
    name = header.strip().lower().replace(" ", "_").replace("-", "_")
    return next((field for field, names in SYNONYMS.items() if name in names), None)


def assign(headers: Sequence[str], *, where: str, default_lang: str | None) -> dict[str, int]:
    """Return the column of each field that ``headers`` name; the first of several wins.

    Raises:
        DataError: if there is no text column, or no language column and no ``default_lang``; the message lists
            the columns found and the ones needed.
    """
    columns: dict[str, int] = {}
    for place, header in enumerate(headers):
        field = field_of(header)
        if field is not None:
            columns.setdefault(field, place)
    needed = ["text"] if default_lang else ["text", "lang"]
    missing = [field for field in needed if field not in columns]
    if missing:
        raise missing_columns(missing, headers, where)
    return columns


def missing_columns(missing: Sequence[str], found: Sequence[str], where: str) -> DataError:
    """Return the error that names what is missing, what is there, and what was probably meant."""
    guesses = []
    for field in missing:
        lower = {header.strip().lower(): header for header in found}
        close = [match for name in SYNONYMS[field] for match in difflib.get_close_matches(name, lower, n=1)]
        if close:
            guesses.append(f"did you mean {lower[close[0]].strip()!r} for {field!r}?")
    also = [f"{field}: also {', '.join(SYNONYMS[field][1:4])}" for field in missing]
    hint = " ".join([*guesses, f"needed: {', '.join(missing)} ({'; '.join(also)})"])
    if "lang" in missing:
        hint += "; or say the language of the whole file (default_lang)"
    return DataError(f"{where} has no column {', '.join(map(repr, missing))}; found: {_listed(found)}", hint=hint)


def _listed(headers: Sequence[str]) -> str:
    return ", ".join(header.strip() or "(empty)" for header in headers[:20]) or "none"
