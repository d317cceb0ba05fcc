"""One shape for every caption, whatever file it came from, and the checks each one passes."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from glotclip.data.markers import is_missing
from glotclip.data.reading import MAX_SKIPPED
from glotclip.data.video import Sampling
from glotclip.errors import ConfigError, DataError, LanguageError
from glotclip.languages import normalise, resolve
from glotclip.storage import shown, utf8

SPLITS = ("train", "validation", "test")
_NOT_THERE = "does not exist"
_SPLIT_ALIASES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation"}
_SPLIT_ALIASES |= {"testing": "test", "eval": "test"}


@dataclass(frozen=True, slots=True)
class Row:
    """One caption: a text in a language, with the image or video it describes, if there is one.

    Attributes:
        text: the caption, without surrounding white space.
        lang: BCP-47 code of ``text``.
        image: the image it describes.
        video: the video it describes.
        english: the same caption in English; ``None`` where unknown and for English rows.
        translations: the same caption in further languages, by code.
        split: one of :data:`SPLITS`.
        group: names the image or concept; rows of one group are positives of each other.
        to_english: ``text``, machine-translated into English; ``None`` where there is none and for English rows.
        from_english: the English counterpart, machine-translated into ``lang``; likewise.
        part: which part of a mixture it comes from; empty where all rows are of one source.
    """

    text: str
    lang: str
    image: Path | None = None
    video: Path | None = None
    english: str | None = None
    translations: Mapping[str, str] = field(default_factory=dict)
    split: str = "train"
    group: str | None = None
    to_english: str | None = None
    from_english: str | None = None
    part: str = ""

    @property
    def key(self) -> str | None:
        """What this row is a positive of: its group, else its image or video, else nothing."""
        if self.group is not None:
            return self.group
        medium = self.image or self.video
        return None if medium is None else str(medium)


@dataclass(frozen=True, slots=True)
class SkippedItem:
    """One thing that could not be used: the file, the line in it (``None``: the file as a whole), and why."""

    where: str
    line: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Checked rows under a name, what had to be left out, and the terms of use.

    ``unused`` lists what lies in the corpus's folder beside its captions and is not used, with the reasons: that is
    no fault of a row, and :func:`check_share` does not count it.
    ``provenance`` says where machine text came from, by field or language: engine and version, or the release.
    ``sampling`` says which frames stand for its videos. ``notes`` are what a reader should be told once, in
    sentences: columns not used, cells taken as empty, rows held out. ``divided`` is whether the data itself says
    which rows are for training and which for testing. ``weights`` says how much of a batch the rows of each part of a
    mixture get; it is empty where there is one source.
    """

    name: str
    rows: tuple[Row, ...]
    skipped: tuple[SkippedItem, ...] = ()
    licence: str = "unknown"
    provenance: Mapping[str, str] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)
    notes: tuple[str, ...] = ()
    divided: bool = True
    unused: tuple[SkippedItem, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def languages(self) -> list[str]:
        """Language codes in the order of first appearance."""
        return list(dict.fromkeys(row.lang for row in self.rows))

    def select(self, lang: str | None = None, split: str | None = None) -> Corpus:
        """Keep the rows of a language and a split; the list of skipped items stays whole.

        Raises:
            LanguageError: if ``lang`` is not a language code.
            DataError: if ``split`` is not one of :data:`SPLITS`.
        """
        wanted_lang = None if lang is None else known_language(lang)
        wanted_split = None if split is None else known_split(split)
        rows = tuple(
            row for row in self.rows if wanted_lang in (None, row.lang) and wanted_split in (None, row.split)
        )
        return replace(self, rows=rows)


@dataclass(frozen=True, slots=True)
class Caption:
    """One query of a benchmark: a text, and the index of the image it describes."""

    text: str
    image: int


@cache
def known_language(code: str) -> str:
    """Normalise a code, remembering the answer: a file repeats its few codes on every line."""
    return normalise(code)


def language_or_none(code: str) -> str | None:
    """Normalise a code found in a file's name; ``None`` where it is no language: a copy, a backup, something else."""
    try:
        return known_language(code)
    except LanguageError:
        return None


def known_split(split: str) -> str:
    """Return the canonical name of a split (``val`` → ``validation``) or raise :class:`DataError`."""
    name = split.strip().lower()
    name = _SPLIT_ALIASES.get(name, name)
    if name not in SPLITS:
        raise DataError(f"unknown split {split!r}", hint=f"use one of {', '.join(SPLITS)} (or val, valid, dev)")
    return name


def clean_text(text: str) -> str:
    """Return ``text`` in NFC with every run of white space as one space.

    Raises:
        DataError: if nothing is left or it marks a missing value (:mod:`glotclip.data.markers`), or the text holds
            control characters or signs of a wrong decoding.
    """
    # Line breaks and tabs inside a quoted CSV field are layout, not damage, and become spaces. So do byte-order
    # marks, which are left in the middle where files were joined.
    cleaned = " ".join(unicodedata.normalize("NFC", text).replace("\ufeff", " ").split())
    if is_missing(cleaned):
        marked = f": {cleaned!r} marks a missing value" if cleaned else ""
        raise DataError(f"the text is empty{marked}", hint="remove the row or write its caption")
    if cleaned.isascii() and cleaned.isprintable():
        return cleaned
    for sign in cleaned:
        if unicodedata.category(sign) in ("Cc", "Cs") or sign == "\ufffd":
            raise DataError(
                f"the text holds the character U+{ord(sign):04X}", hint="save the file again as clean UTF-8"
            )
    return cleaned


def check_row(row: Row, *, root: Path | None = None) -> Row:
    """Return ``row`` in canonical form: clean texts, BCP-47 codes, a known split, absolute existing files.

    Args:
        row: the row as it was read.
        root: the folder that relative image and video paths start from; ``None``: the working folder.

    Raises:
        DataError: what is wrong with the row, in one sentence.
    """
    try:
        lang = known_language(row.lang)
        translations = {known_language(code): clean_text(text) for code, text in row.translations.items()}
    except LanguageError as error:
        raise DataError(error.message, hint=error.hint) from error
    english = _clean_or_none(row.english)
    if english is None and (spoken := resolve("en", translations)) is not None:
        english = translations[spoken]
    return Row(
        text=clean_text(row.text),
        lang=lang,
        image=_existing(row.image, root, "image"),
        video=_existing(row.video, root, "video"),
        english=None if lang == "en" else english,
        translations=translations,
        split=known_split(row.split),
        group=row.group,
        to_english=None if lang == "en" else _clean_or_none(row.to_english),
        from_english=None if lang == "en" else _clean_or_none(row.from_english),
        part=row.part,
    )


def check_share(corpus: Corpus, limit: float = MAX_SKIPPED) -> None:
    """Raise :class:`DataError` if no row is good, or more than ``limit`` (a share, 0 to 1) of all are skipped."""
    if not 0 <= limit <= 1:
        raise ConfigError(f"a share of rows is between 0 and 1, not {limit}", hint="e.g. --max-skipped 0.2")
    skipped, total = len(corpus.skipped), len(corpus.skipped) + len(corpus.rows)
    if corpus.rows and skipped <= limit * total:
        return
    first = "; ".join(describe(row) for row in corpus.skipped[:3]) or "it holds no rows"
    elsewhere = any(row.reason.endswith(_NOT_THERE) for row in corpus.skipped)
    raise DataError(
        f"{skipped} of {total} rows of {corpus.name} cannot be used (at most {limit:.0%} may be): {first}",
        hint="correct the rows listed"
        + (", or name the folder where the images lie (--images DIR)" if elsewhere else "")
        + (f", or go on without them (--max-skipped {_above(skipped / total)})" if corpus.rows else ""),
    )


def _above(share: float) -> float:
    """Round a share up to two digits."""
    return math.ceil(share * 100) / 100


def write_skipped(corpus: Corpus, path: Path) -> None:
    """Write the rows left out as a TSV file: where, line, reason; over no file that glotclip did not make."""
    from glotclip.ownership import write_file

    lines = ["where\tline\treason"]
    for row in corpus.skipped:
        reason = row.reason.replace("\t", " ").replace("\n", " ")
        lines.append(f"{shown(row.where)}\t{'' if row.line is None else row.line}\t{reason}")
    write_file(path, utf8("\n".join(lines) + "\n"), option="--bad-rows")


def describe(item: SkippedItem) -> str:
    """Return one line for people: ``captions.csv:7: the text is empty``."""
    where = shown(item.where)
    return f"{where}: {item.reason}" if item.line is None else f"{where}:{item.line}: {item.reason}"


def fill_english(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Give rows in other languages the English caption of their group where they have none.

    The k-th row of a language takes the k-th English row of its group, starting over when they run out: that
    pairs line-aligned translations, and with one English caption everyone takes that one.
    """
    rows = tuple(rows)
    english: dict[str, list[str]] = {}
    for row in rows:
        if row.lang == "en" and row.key is not None:
            english.setdefault(row.key, []).append(row.text)
    taken: dict[tuple[str, str], int] = {}
    filled = []
    for row in rows:
        if row.lang != "en" and row.key in english:
            place = taken.get((row.key, row.lang), 0)
            taken[row.key, row.lang] = place + 1
            if row.english is None:
                row = replace(row, english=english[row.key][place % len(english[row.key])])
        filled.append(row)
    return tuple(filled)


def _clean_or_none(text: str | None) -> str | None:
    """Clean a text beside the caption; one that is missing does not spoil the row it accompanies."""
    return None if text is None or is_missing(text) else clean_text(text)


def _existing(path: Path | None, root: Path | None, what: str) -> Path | None:
    if path is None:
        return None
    full = (root or Path.cwd()) / path
    try:
        found = full.is_file()
    except (OSError, ValueError) as error:  # a name too long for the system, or holding a zero byte
        raise DataError(f"the {what} {path} has an impossible name", hint="correct the path") from error
    if not found:
        raise DataError(f"the {what} {path} {_NOT_THERE}", hint="check the path and the folder it starts from")
    return full.absolute()
