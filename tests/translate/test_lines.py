"""Files of translations, and programs that read and write lines."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.encodings import split_lines
from glotclip.errors import ConfigError, DataError
from glotclip.translate.engine import ask
from glotclip.translate.lines import CommandEngine, FileEngine, read_lines

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1)


def program(path: Path, body: str) -> str:
    """Write a Python program that has the lines of its input; return the command that runs it."""
    path.write_text(f"import sys\nlines = sys.stdin.read().splitlines()\n{body}\n", encoding="utf-8")
    return f"{sys.executable} {path}"


@given(PAIRS)
def test_a_file_asked_for_as_it_is_comes_back_as_the_other(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    sides = [list(side) for side in zip(*pairs, strict=True)]
    for name, side in zip(("source", "target"), sides, strict=True):
        (folder / name).write_text("".join(f"{line}\n" for line in side), encoding="utf-8")
    assert FileEngine(folder / "source", folder / "target").translate(sides[0], "en", "de") == sides[1]


def test_files_may_be_packed_and_asked_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "en.gz").write_bytes(gzip.compress(b"a  dog\na cat"))
    (tmp_path / "de").write_text("ein Hund\neine Katze\n", encoding="utf-8")
    engine = FileEngine(tmp_path / "en.gz", tmp_path / "de")
    assert engine.translate(["a cat", "a dog", "a cat"], "en", "de") == ["eine Katze", "ein Hund", "eine Katze"]
    with pytest.raises(DataError, match="does not hold 1 of 2 texts, first: 'a bird'"):
        engine.translate(["a cat", "a bird"], "en", "de")
    before = engine.version
    (tmp_path / "de").write_text("ein Hund\neine Mieze\n", encoding="utf-8")
    assert FileEngine(tmp_path / "en.gz", tmp_path / "de").version != before


def test_files_of_different_lengths(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n", encoding="utf-8")
    (tmp_path / "b").write_text("1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"2 lines, .* has 1"):
        FileEngine(tmp_path / "a", tmp_path / "b")
    with pytest.raises(DataError, match="does not exist"):
        FileEngine(tmp_path / "a", tmp_path / "c")


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("one\u2028line\r\n\ntwo", encoding="utf-8", newline="")
    assert read_lines(tmp_path / "text") == ["one line", "", "two"]
    assert split_lines("") == []
    assert split_lines("\n") == [""]


def test_a_program_gets_all_lines_at_once_and_the_codes(tmp_path: Path) -> None:
    command = program(tmp_path / "p.py", "for line in lines: print(sys.argv[1:], len(lines), line)")
    engine = CommandEngine(f"{command} --to={{target}} '{{source}} x'")
    assert engine.translate(["eins", "zwei"], "de", "ja") == [
        f"['--to=ja', 'de x'] 2 {text}" for text in ("eins", "zwei")
    ]


def test_the_version_follows_the_program_file(tmp_path: Path) -> None:
    command = program(tmp_path / "p.py", "pass")
    version = CommandEngine(command).version
    assert CommandEngine(command).version == version
    assert CommandEngine(f"{command} -x").version != version
    program(tmp_path / "p.py", "pass  # but longer")
    assert CommandEngine(command).version != version


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("print(*lines[1:], sep='\\n')", "1 answers to 2 texts"),
        ("sys.exit('no such language')", "exit code 1: no such language"),
        ("sys.stdout.buffer.write(b'\\xff\\xfe')", "did not write UTF-8"),
    ],
)
def test_a_program_that_fails(tmp_path: Path, body: str, complaint: str) -> None:
    engine = CommandEngine(program(tmp_path / "p.py", body))
    with pytest.raises(DataError, match=complaint):
        ask(engine, ["eins", "zwei"], "de", "en")


@pytest.mark.parametrize("command", ["no-such-program-at-all", "'unclosed", ""])
def test_what_is_no_command(command: str) -> None:
    with pytest.raises(ConfigError):
        CommandEngine(command)
