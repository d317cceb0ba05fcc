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
    "to_english": ("to_english",),
    "from_english": ("from_english",),
}
#: Columns that say where a row came from; `glotclip translate` writes the first.
ASIDE = frozenset({"engine"})
FIELDS = tuple(SYNONYMS)
_SHOWN = 20


def field_of(header: str) -> str | None:
    """Return the field that a header names, or ``None``."""
    name = _plain(header)
    return next((field for field, names in SYNONYMS.items() if name in names), None)


def unused(headers: Sequence[str]) -> list[str]:
    """Return what should be said of the columns that are not read: unknown ones, and second ones of one meaning."""
    fields = [field_of(header) for header in headers]
    unknown = [_shown(header) for header, field in zip(headers, fields, strict=True)
               if field is None and _plain(header) not in ASIDE]  # fmt: skip
    notes = []
    if unknown := list(dict.fromkeys(unknown)):
        notes.append(f"columns not used, since nothing is known by these names: {_listed(unknown)}")
    for place, (header, field) in enumerate(zip(headers, fields, strict=True)):
        if field is not None and (first := fields.index(field)) < place:
            notes.append(
                f"column {place + 1}, {_shown(header)!r}, is not used: {field!r} is read from column {first + 1}, "
                f"{_shown(headers[first])!r}"
            )
    return notes


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
        hint += "; or say the language of the whole file (--default-lang de)"
    return DataError(f"{where} has no column {', '.join(map(repr, missing))}; found: {_listed(found)}", hint=hint)


def _listed(headers: Sequence[str]) -> str:
    more = f" and {len(headers) - _SHOWN} more" if len(headers) > _SHOWN else ""
    return ", ".join(map(_shown, headers[:_SHOWN])) + more if headers else "none"


def _shown(header: str) -> str:
    return _printable(header.strip())[:40] or "(empty)"


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _plain(header: str) -> str:
    return header.replace("\ufeff", "").strip().lower().replace(" ", "_").replace("-", "_")
