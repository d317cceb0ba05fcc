"""Tables as people and programs write them, two thousand of them: no traceback, no file changed, no row lost."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glotclip.data import readers
from glotclip.data.dataset import open_dataset
from glotclip.data.markers import MARKERS, is_missing
from glotclip.errors import GlotclipError

pytestmark = pytest.mark.slow

#: Encoding as written, byte-order mark included, and what must be said of it: None where it is found by itself.
ENCODINGS: dict[str, tuple[str, bytes, str | None]] = {
    "utf-8": ("utf-8", b"", None),
    "utf-8-sig": ("utf-8-sig", b"", None),
    "utf-16 with a mark": ("utf-16", b"", None),
    "utf-16-be with a mark": ("utf-16-be", b"\xfe\xff", None),
    "utf-32 with a mark": ("utf-32", b"", None),
    "utf-16-le": ("utf-16-le", b"", "utf-16-le"),
    "utf-16-be": ("utf-16-be", b"", "utf-16-be"),
    "cp1252": ("cp1252", b"", "cp1252"),
    "gb18030": ("gb18030", b"", "gb18030"),
    "shift-jis": ("shift-jis", b"", "shift_jis"),
}
SEPARATORS = {".csv": ",;\t|", ".tsv": "\t,"}
QUOTING = {"as needed": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL, "texts": csv.QUOTE_NONNUMERIC}
LETTERS = "Hund Straße, 狗犬;|'“”éñ…\t\n\r\x00\x07\ufeff\u200b\u2028\ufffd\"" + "ab"

texts = st.one_of(
    st.sampled_from(
        ["ein Hund", "狗", "犬がいる", "un niño; dos", 'sagt "ja"', "a, b", "a|b", "zwei\nZeilen", "=1+1"]
    ),
    st.text(alphabet=LETTERS, max_size=12),
    st.sampled_from(sorted(MARKERS)).flatmap(
        lambda each: st.sampled_from([each, each.upper(), each.title(), f" {each} "])
    ),
    st.integers(0, 39).map(lambda n: {0: "x" * 140_000, 1: "lang " * 5_000}.get(n, "")),  # more than csv's own limit
)
codes = st.sampled_from(["de", "de", "de", "DE", "en", "zh-CN", "jp", "", "german", "NaN", "xx-nope"])
splits = st.sampled_from(["", "", "train", "val", "TEST", "n/a", "none of these"])
rows = st.fixed_dictionaries(
    {"text": texts, "lang": codes, "english": st.one_of(st.just(""), texts), "split": splits, "group": texts}
)
headers = st.sampled_from(
    [
        ("text", "lang"),
        ("text", "lang", "english", "split", "group"),
        ("lang", "note", "Caption", "split"),
        ("Text", "LANG", "caption", "english"),  # two columns of one meaning
        ("text", "text", "lang"),
        ("text",),
        ("split", "group"),
    ]
)
FIELD = {"caption": "text", "note": "group"}


@dataclass(frozen=True)
class Written:
    """A table as it was written: its bytes and how many records there are under the header, blank ones apart."""

    suffix: str
    content: bytes
    encoding: str | None
    #: None where separators, line ends or quotation marks of the texts make it unknown what a record is.
    records: list[dict[str, str]] | None


@st.composite
def tables(draw: st.DrawFn) -> Written:
    name, mark, given_as = ENCODINGS[draw(st.sampled_from(sorted(ENCODINGS)))]
    suffix = draw(st.sampled_from([".csv", ".tsv", ".jsonl"]))
    header = draw(headers)
    found = draw(st.lists(rows, max_size=6))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    cells = [{column: row[FIELD.get(column.lower(), column.lower())] for column in header} for row in found]
    known: list[dict[str, str]] | None
    if suffix == ".jsonl":
        lines = [json.dumps(row, ensure_ascii=draw(st.booleans())) for row in cells]
        text = "".join(line + end for line in lines)
        known = cells
    else:
        separator = draw(st.sampled_from(SEPARATORS[suffix]))
        if len(header) == 1:  # nothing tells then how columns are separated
            separator = SEPARATORS[suffix][0]
        text, known = _table(draw, header, cells, separator, suffix, end)
    if draw(st.integers(0, 9)) == 0:  # something goes wrong on the way
        place = draw(st.integers(0, len(text)))
        text, known = (
            text[:place] + draw(st.sampled_from(['"', "\ufeff", "\x00", end, "", "\ufffd"])) + text[place:],
            None,
        )
    content = mark + text.encode(name, errors="replace")
    if text.encode(name, errors="replace").decode(name) != text:
        known = None
    return Written(suffix, content, given_as if draw(st.integers(0, 4)) else None, known)


def _table(
    draw: st.DrawFn, header: tuple[str, ...], cells: list[dict[str, str]], separator: str, suffix: str, end: str
) -> tuple[str, list[dict[str, str]] | None]:
    known: list[dict[str, str]] | None = cells
    if suffix == ".tsv" and separator == "\t":  # knows no quoting, so that tabs and ends of lines cannot be written
        cells = [{name: " ".join(cell.replace('"', "'").split()) for name, cell in row.items()} for row in cells]
        known = cells
        lines = [separator.join(header), *(separator.join(row[name] for name in header) for row in cells)]
        text = "".join(line + end for line in lines)
    else:
        stream = io.StringIO()
        quoting = QUOTING[draw(st.sampled_from(sorted(QUOTING)))]
        if any("\n" in cell or "\r" in cell for row in cells for cell in row.values()):
            quoting = csv.QUOTE_ALL  # Python's writer forgets to quote the ends of lines that are not its own
        writer: Any = csv.writer(stream, delimiter=separator, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
        writer.writerow(header)
        writer.writerows([row[name] for name in header] for row in cells)
        text = stream.getvalue()
    if draw(st.integers(0, 9)) == 0:
        text, known = f"{text}a{separator}b{separator}c{separator}d{separator}e{separator}f{end}", None  # ragged
    return text, known


def blank(row: dict[str, str]) -> bool:
    """Whether all cells are empty: such lines are layout."""
    return not any(cell.strip() for cell in row.values())


def clean(text: str) -> str:
    """White space as a reader leaves it."""
    return " ".join(text.replace("\ufeff", " ").split())


@settings(max_examples=2000, suppress_health_check=list(HealthCheck), database=None)
@given(tables())
def test_every_row_is_used_or_named(written: Written) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{written.suffix}"
        path.write_bytes(written.content)
        before = hashlib.sha256(written.content).digest()
        try:
            corpus = readers.read(path, default_lang="de", encoding=written.encoding)
        except GlotclipError as error:
            assert error.hint
            corpus = None
        if len(written.content) % 4 == 0:  # as a dataset, some of them: reading twice takes twice the time
            with contextlib.suppress(GlotclipError):
                open_dataset(path, default_lang="de", encoding=written.encoding, max_skipped=1).held_out(["de"])
        assert [each.name for each in Path(folder).iterdir()] == [path.name]
        assert hashlib.sha256(path.read_bytes()).digest() == before
    if corpus is None:
        return
    assert all(row.text and not is_missing(row.text) and row.english != "" for row in corpus.rows)
    assert all(item.reason for item in corpus.skipped)
    if written.records is not None:
        full = [row for row in written.records if not blank(row)]
        if written.suffix == ".jsonl":
            full = list(written.records)
        assert len(corpus.rows) + len(corpus.skipped) == len(full), corpus
        first = next(
            name
            for name in (written.records[0] if written.records else {"text": ""})
            if name.lower() in ("text", "caption")
        )
        given = [clean(row[first]) for row in full]
        used = [row.text for row in corpus.rows]
        assert all(text in given for text in used) or any("́" in text for text in given)
