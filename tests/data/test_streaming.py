from __future__ import annotations

import bz2
import lzma
import tracemalloc
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glotclip.data import streaming
from glotclip.data.encodings import split_lines
from glotclip.data.streaming import TextFile, text_files
from glotclip.errors import ConfigError, DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

LINES = ["Hund\tdog", "", "Haus\u2028\x85", "ß" * 70_000, "Ende"]


def test_lines_are_those_of_the_file_however_it_is_packed(desk: Desk) -> None:
    content = ("\n".join(LINES) + "\n").encode()
    files = [TextFile(desk.lines("a.txt", LINES)), TextFile(desk.lines("a.txt.gz", LINES))]
    files += [
        TextFile(desk.bytes("a.txt.bz2", bz2.compress(content))),
        TextFile(desk.bytes("a.txt.xz", lzma.compress(content))),
    ]
    with zipfile.ZipFile(desk.root / "a.zip", "w") as archive:
        archive.writestr("folder/a.txt", content)
    files += text_files(desk.root / "a.zip")
    for file in files:
        assert list(file.lines()) == LINES
        assert file.name == "a.txt"
        assert file.head(2) == LINES[:2]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\ufeff"), max_size=60), st.booleans())
def test_lines_are_as_the_whole_text_has_them(text: str, marked: bool) -> None:
    assume(not (marked and text.startswith("\0")))  # the mark of UTF-16 and a zero are the mark of UTF-32
    path = Path(pytest.importorskip("tempfile").mkdtemp()) / "a.txt"
    path.write_bytes(text.encode("utf-16" if marked else "utf-8"))
    assert list(TextFile(path).lines()) == split_lines(text)


def test_what_is_no_text_is_told_with_its_line(desk: Desk) -> None:
    with pytest.raises(DataError, match="is not UTF-8: a line after line 0"):
        list(TextFile(desk.bytes("a.txt", b"caf\xe9\n")).lines())
    assert list(TextFile(desk.bytes("a.txt", b"caf\xe9\n")).lines("cp1252")) == ["café"]
    with pytest.raises(ConfigError, match="unknown encoding"):
        list(TextFile(desk.bytes("a.txt", b"x")).lines("utf-99"))
    with pytest.raises(DataError, match="does not exist"):
        list(TextFile(desk.root / "none.txt").lines())
    for name in ("a.txt.gz", "a.txt.xz"):
        with pytest.raises(DataError, match="cannot be read"):
            list(TextFile(desk.bytes(name, b"no archive")).lines())
    with pytest.raises(DataError, match="not a whole zip"):
        text_files(desk.bytes("a.zip", b"no archive"))


def test_a_file_without_ends_of_lines_is_refused_before_it_fills_the_memory(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "LONGEST_LINE", 1 << 18)
    file = TextFile(desk.bytes("a.txt", b"x" * (1 << 22)))
    tracemalloc.start()
    with pytest.raises(DataError, match="line 1 is longer"):
        list(file.lines())
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()
