"""Text in the encoding that a file says, or that is said of it; anything else is refused by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from glotclip.data import readers
from glotclip.data.encodings import read_text, split_lines
from glotclip.errors import ConfigError, DataError

TABLE = "text\tlang\nTür\tde\n狗\tzh\n"


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".txt"])
def test_the_byte_order_mark_decides(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"unicode{suffix}"
    path.write_bytes(TABLE.replace("\n", "\r\n").encode(name))
    assert [(row.text, row.lang) for row in readers.read(path).rows] == [("Tür", "de"), ("狗", "zh")]


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "gb18030", "utf-16"])
def test_an_encoding_that_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / "c.tsv").write_bytes(TABLE.encode(name))
    assert [row.text for row in readers.read(tmp_path / "c.tsv", encoding=name).rows] == ["Tür", "狗"]


@pytest.mark.parametrize("name", ["latin-1", "gb18030", "shift-jis", "utf-16-le", "utf-16-be"])
def test_an_encoding_that_is_not_said_is_refused_by_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes(
        f"text,lang\nHund,de\n{'Tür' if name == 'latin-1' else '犬が草の上を走る'},de\n".encode(name)
    )
    with pytest.raises(DataError, match=r"line [13] holds") as caught:
        readers.read(tmp_path / "c.csv")
    assert "--encoding" in caught.value.hint


def test_encodings_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("text,lang\n")
    for name in ("hex", "klingon", "rot13", ""):
        if name:
            with pytest.raises(ConfigError, match="unknown encoding"):
                read_text(tmp_path / "c.csv", name)
    (tmp_path / "d.csv").write_bytes(b"text\xff\n")
    with pytest.raises(DataError, match="is not ascii: line 1"):
        read_text(tmp_path / "d.csv", "ascii")


def test_lines_end_as_the_text_says() -> None:
    assert split_lines("a\nb\u2028c\n") == ["a", "b\u2028c"]
    assert split_lines("a\rb\r") == ["a", "b"]
    assert split_lines("a\r\nb\rc\r\n") == ["a\r", "b\rc\r"]
