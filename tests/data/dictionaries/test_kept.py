from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data.dictionaries.kept import kept
from glotclip.data.schema import Corpus, Row
from glotclip.storage import cache_root

if TYPE_CHECKING:
    from tests.data.conftest import Desk

CORPUS = Corpus(
    "list",
    (Row("Hund\u2028", "de", english="dog"), Row("Maß", "de", english="measure")),
    licence="CC0-1.0",
    notes=("said",),
)


def fails() -> Corpus:
    raise AssertionError("it was to be read from the cache")


def test_what_was_read_once_is_kept_until_a_file_changes(desk: Desk) -> None:
    file = desk.lines("a.index", ["one"])
    assert kept("de", [file], lambda: CORPUS) == CORPUS
    assert kept("de", [file], fails) == CORPUS
    for lang, content in (("fr", "one"), ("de", "two")):
        desk.lines("a.index", [content])
        with pytest.raises(AssertionError, match="was to be read"):
            kept(lang, [file], fails)


def test_what_is_kept_but_torn_is_made_anew(desk: Desk) -> None:
    file = desk.lines("a.index", ["one"])
    kept("de", [file], lambda: CORPUS)
    (path,) = (cache_root() / "pairs").glob("*.tsv")
    for content in (path.read_bytes()[:-9], b"", b"\xff", b"[]\n"):
        path.write_bytes(content)
        assert kept("de", [file], lambda: CORPUS) == CORPUS
        assert kept("de", [file], fails) == CORPUS
