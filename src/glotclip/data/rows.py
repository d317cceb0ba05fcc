"""Rows as found in a file become checked rows of one corpus; what cannot be used is listed.

A row that cannot be used never ends the reading: it is listed with line and reason in ``corpus.skipped``, and
:func:`~glotclip.data.schema.check_share` says when there are too many. What else a reader should know is told in
``corpus.notes``: columns that are not used, cells that were taken as empty.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glotclip.data.frame_readers import VIDEO_SUFFIXES
from glotclip.data.markers import is_missing, marker_of
from glotclip.data.schema import Corpus, Row, SkippedItem, check_row, fill_english
from glotclip.errors import DataError
from glotclip.languages import resolve

#: One row as found: its line, and its fields or the reason why there are none.
ParsedRow = tuple[int, dict[str, Any] | str]


@dataclass
class Collector:
    """Rows of one corpus while its files are read.

    Attributes:
        default_lang: of rows that do not say theirs.
        images: the folder where relative paths start, or where files lie without the folders of their paths.
        rows: what can be used so far.
        skipped: what cannot.
        notes: sentences about the whole corpus.
        markers: how often each marker of a missing value was met in which field.
        divided: whether any row names a split.
    """

    default_lang: str | None = None
    images: Path | None = None
    rows: list[Row] = field(default_factory=list)
    skipped: list[SkippedItem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    markers: Counter[tuple[str, str]] = field(default_factory=Counter)
    divided: bool = False

    def add(self, parsed: Iterable[ParsedRow], where: str, root: Path) -> int:
        """Check rows of one file, and return how many there were, whether or not they can be used.

        Args:
            parsed: the rows.
            where: the file they come from.
            root: the folder that relative paths start from.
        """
        count = 0
        for line, fields in parsed:
            count += 1
            if isinstance(fields, str):
                self.skipped.append(SkippedItem(where, line, fields))
                continue
            try:
                row = self._row(fields)
                if self.images is not None:
                    row = replace(row, image=_placed(row.image, self.images), video=_placed(row.video, self.images))
                self.rows.append(check_row(row, root=root))
            except DataError as error:
                self.skipped.append(SkippedItem(where, line, error.message))
        return count

    def corpus(self, name: str) -> Corpus:
        """Make a corpus of what was collected: translations spread, English filled in, what was met in its notes."""
        rows = self.rows
        english = resolve("en", dict.fromkeys(row.lang for row in rows))
        if english not in (None, "en"):
            rows = [replace(row, lang="en", english=None) if row.lang == english else row for row in rows]
            self.notes.append(f"rows in {english} are taken as English")
        notes = (*self.notes, *self._marker_note())
        return Corpus(name, spread_translations(rows), tuple(self.skipped), notes=notes, divided=self.divided)

    def _marker_note(self) -> Iterable[str]:
        """Say which cells were taken as empty."""
        if not self.markers:
            return
        by_marker: dict[str, list[str]] = {}
        for (name, marker), count in self.markers.most_common():
            by_marker.setdefault(marker, []).append(f"{name} {count:,}")
        shown = "; ".join(f"{marker!r} in {', '.join(fields)}" for marker, fields in by_marker.items())
        total = self.markers.total()
        what = f"{total:,} cells are" if total > 1 else "1 cell is"
        yield f"{what} taken as empty, being marks of missing values: {shown}"

    def _row(self, fields: Mapping[str, Any]) -> Row:
        """Build an unchecked row; a field of the wrong type is a :class:`DataError`."""
        image, video = self._string(fields, "image"), self._string(fields, "video")
        if image and not video and image.lower().endswith(VIDEO_SUFFIXES):
            image, video = None, image  # a column called path or file_name may hold either
        lang = self._string(fields, "lang") or self.default_lang
        if lang is None:
            marked = f": {written!r} marks a missing value" if (written := fields.get("lang")) else ""
            raise DataError(
                f"the row does not say its language{marked}",
                hint="fill in the lang column, or say it for all (--default-lang de)",
            )
        split = self._string(fields, "split")
        self.divided |= split is not None
        return Row(
            text=self._string(fields, "text") or "",
            lang=lang,
            image=Path(image) if image else None,
            video=Path(video) if video else None,
            english=self._string(fields, "english"),
            translations=self._translations(fields.get("translations")),
            split=split or "train",
            group=self._string(fields, "group"),
            to_english=self._string(fields, "to_english"),
            from_english=self._string(fields, "from_english"),
        )

    def _translations(self, value: Any) -> dict[str, str]:
        """Read translations by language, an object or JSON text of one; missing ones are left out."""
        if self._missing(value, "translations"):
            return {}
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise DataError(f"translations are not valid JSON ({error})", hint="write a JSON object") from error
        if not isinstance(value, dict):
            raise DataError("translations are not an object of language codes and texts", hint='write {"de": "…"}')
        texts = {code: self._string(value, code, "translations") for code in value}
        return {code: text for code, text in texts.items() if text is not None}

    def _string(self, fields: Mapping[str, Any], name: str, counted: str | None = None) -> str | None:
        """Return a field as text, ``None`` where it is missing; whole numbers (ids) are taken as written.

        A marker of a missing text stays as it is written: the reason why the row is skipped shall name it.
        """
        value = fields.get(name)
        if self._missing(value, counted or name):
            return value if name == "text" and isinstance(value, str) else None
        if name == "group" and isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
            return str(int(value))
        if not isinstance(value, str):
            raise DataError(f"{name} is not a text but {type(value).__name__}", hint="write it in quotation marks")
        return value if name == "text" else value.replace("\ufeff", "").strip()

    def _missing(self, value: Any, name: str) -> bool:
        """Whether a field is missing; markers of that are counted."""
        if not is_missing(value):
            return False
        if isinstance(value, str) and (marker := marker_of(value)) is not None:
            self.markers[name, marker] += 1
        return True


def spread_translations(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Add a row for every translation a row carries, then fill in English captions from the same group.

    A translation takes over image, split and group, and the English caption if that is known. One that
    stands in a row of its own already is not added again.
    """
    rows = list(rows)
    there = {(row.key, row.lang, row.text) for row in rows}
    spread: list[Row] = []
    for row in rows:
        spread.append(row)
        english = row.text if row.lang == "en" else row.english
        for lang, text in row.translations.items():
            if (row.key, lang, text) not in there:
                known = None if lang == "en" else english
                spread.append(Row(text, lang, row.image, row.video, known, {}, row.split, row.group))
    return fill_english(spread)


def _placed(path: Path | None, images: Path) -> Path | None:
    """Return where a file lies below ``images``: by its path or, without the folders of that, by its name."""
    if path is None:
        return None
    try:
        return next((place for place in (images / path, images / path.name) if place.is_file()), images / path)
    except (OSError, ValueError):  # an impossible name, which is told when the row is checked
        return path
