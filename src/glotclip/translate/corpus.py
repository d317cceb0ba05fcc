"""Translating a file of captions into another: lines into lines, rows into rows.

A file ending in ``.csv``, ``.tsv`` or ``.jsonl`` is a table, see :mod:`glotclip.data.readers`; any other is text with
one caption a line. Each may be ``.gz``, and each may become the other. Rows written are in the language translated
into, with the original as ``english`` where it was that: what ``glotclip extend --data`` trains on.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glotclip import ownership
from glotclip.data import readers
from glotclip.data.markers import is_missing, marker_of
from glotclip.data.reading import MAX_SKIPPED
from glotclip.data.schema import Row, SkippedItem, check_share
from glotclip.data.serving import serve
from glotclip.errors import DataError, LanguageError
from glotclip.storage import to_json
from glotclip.translate.engine import language_pair
from glotclip.translate.lines import read_lines
from glotclip.translate.translator import Progress, Translator

ENGLISH = "en"
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
_COLUMNS = ("text", "lang", "english", "image", "video", "split", "group", "engine")


@dataclass(frozen=True)
class TranslatedFile:
    """What was made of a file.

    Attributes:
        captions: how many were translated.
        cached: how many of them came out of the cache.
        unanswered: how many the engine had no answer to; they stand untranslated.
        unchanged: how many translations equal their originals, those among them.
        empty_lines: lines of a text without a caption; they stay empty, and become no rows.
        first: the first few originals with their translations.
        skipped: rows of a table that cannot be used.
        notes: what else there is to know of the captions.
    """

    captions: int
    cached: int
    unanswered: int
    unchanged: int
    empty_lines: int = 0
    first: Sequence[tuple[str, str]] = ()
    skipped: Sequence[SkippedItem] = field(default=())
    notes: Sequence[str] = ()


def translate_file(
    path: Path,
    out: Path,
    translator: Translator,
    source: str,
    target: str,
    *,
    encoding: str | None = None,
    max_skipped: float = MAX_SKIPPED,
    progress: Progress | None = None,
) -> TranslatedFile:
    """Translate the captions of ``path`` in language ``source`` and write them to ``out``, whole or not at all.

    Args:
        path: what is translated.
        out: what is written, in UTF-8.
        translator: does it.
        source: the language of the captions.
        target: the language wanted.
        encoding: of ``path``; see :func:`glotclip.data.encodings.read_text`.
        max_skipped: the share of a table's rows that may be unusable.
        progress: called with (done, total).

    Raises:
        DataError: if the file cannot be read, holds nothing to translate, or too much of it cannot be used.
        LanguageError: if a table has no rows in ``source``, or the engine does not translate between the two.
        StorageError: if ``out`` is an input or a file that glotclip did not make, or it or the cache cannot be
            written.
    """
    inputs = (path, *translator.files)
    ownership.check_file(out, inputs, option="OUT")
    source, target = language_pair(source, target)
    rows, skipped, notes = _rows(path, source, encoding, max_skipped)
    full = [row for row in rows if row.text]
    if not full:
        raise DataError(f"{path} holds no captions", hint="give a file with one caption a line, or a table")
    result = translator.run([row.text for row in full], source, target, progress=progress)
    pairs = list(zip(full, result.texts, strict=True))
    if _is_table(out):
        engine = f"{translator.name} {translator.version}"
        content = _table([_record(*pair, source, target, out.parent, engine) for pair in pairs], _kind(out))
    else:
        answers = iter(result.texts)
        content = "".join(f"{next(answers) if row.text else ''}\n" for row in rows)
    data = gzip.compress(content.encode(), mtime=0) if out.suffix.lower() == ".gz" else content.encode()
    ownership.write_file(out, data, inputs, option="OUT")
    return TranslatedFile(
        captions=len(full),
        cached=result.cached,
        unanswered=len(result.unanswered),
        unchanged=sum(row.text == text for row, text in pairs),
        empty_lines=len(rows) - len(full),
        first=[(row.text, text) for row, text in pairs[:3]],
        skipped=skipped,
        notes=notes,
    )


def check_file(
    path: Path, out: Path, source: str, target: str, *, encoding: str | None = None, max_skipped: float = MAX_SKIPPED
) -> int:
    """Read both files again and compare them; return the number of captions. Arguments as :func:`translate_file`'s.

    Raises:
        DataError: if the counts differ, or a caption is empty on one side only; the message names the first.
    """
    source, target = language_pair(source, target)
    before = [row.text for row in _rows(path, source, encoding, max_skipped)[0]]
    after = [row.text for row in _rows(out, target, None, max_skipped)[0]]
    if _is_table(out):
        before = [text for text in before if text]
    if len(before) != len(after):
        raise DataError(f"{path} has {len(before)} captions, {out} has {len(after)}", hint="translate it anew")
    for line, (text, answer) in enumerate(zip(before, after, strict=True), start=1):
        if bool(text) != bool(answer):
            raise DataError(f"caption {line} of {out} is {answer!r} where it was {text!r}", hint="translate it anew")
    return sum(map(bool, after))


def _rows(
    path: Path, lang: str, encoding: str | None, max_skipped: float
) -> tuple[list[Row], Sequence[SkippedItem], Sequence[str]]:
    """Read the captions of one language: those of a table, or the lines of a text, of which some may be empty.

    A line that marks a missing value is empty.
    """
    if not _is_table(path):
        lines = read_lines(path, encoding)
        marked = [line for line in lines if marker_of(line)]
        note = f"{len(marked):,} lines are taken as empty, being marks of missing values, first {marked[:1]}"
        rows = [Row("" if is_missing(line) else line, lang) for line in lines]
        return rows, (), (note,) if marked else ()
    corpus = readers.read(path, default_lang=lang, encoding=encoding)
    check_share(corpus, max_skipped)
    served = serve(corpus, [lang])
    rows = [row for row in served.rows if row.lang == lang]
    if not rows:
        raise LanguageError(
            f"{path} has no captions in {lang!r}", hint=f"it has: {', '.join(corpus.languages)}; choose with --from"
        )
    return rows, corpus.skipped, served.notes


def _kind(path: Path) -> str:
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _is_table(path: Path) -> bool:
    return _kind(path) in _TABLES


def _record(row: Row, text: str, source: str, target: str, folder: Path, engine: str) -> dict[str, str]:
    """Return the fields of a row in the language translated into, without those that are empty."""
    english = row.text if source == ENGLISH else row.english
    fields = {
        "text": text,
        "lang": target,
        "english": None if target == ENGLISH else english,
        "image": _seen_from(folder, row.image),
        "video": _seen_from(folder, row.video),
        "split": row.split,
        "group": row.group,
        "engine": engine,
    }
    return {name: value for name, value in fields.items() if value}


def _seen_from(folder: Path, path: Path | None) -> str | None:
    """Return a path as it is read from a file in ``folder``: relative if it lies below, so that both may move."""
    if path is None:
        return None
    home = folder.absolute()
    return str(path.relative_to(home) if path.is_relative_to(home) else path)


def _table(records: Sequence[Mapping[str, str]], kind: str) -> str:
    """Write records as JSON lines, CSV or TSV, with the columns that any of them has."""
    if kind in (".jsonl", ".ndjson"):
        return "".join(f"{to_json(record)}\n" for record in records)
    # TSV knows no quoting; texts hold no tabs, since white space became spaces.
    stream = io.StringIO()
    columns = [name for name in _COLUMNS if any(name in record for record in records)]
    form: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None} if kind == ".tsv" else {}
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n", **form)
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()
