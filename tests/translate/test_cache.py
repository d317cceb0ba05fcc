"""The cache's file: what is put in comes out, and what is no cache is refused."""

from __future__ import annotations

import sqlite3
import warnings
from pathlib import Path

import pytest

from glotclip.errors import CacheWarning, ConfigError, StorageError
from glotclip.translate.cache import FILE, FORMAT, keys_of, open_store


def test_keys_tell_texts_and_all_else_that_decides_an_answer_apart() -> None:
    facts = [("a", "1", "en", "de"), ("b", "1", "en", "de"), ("a", "2", "en", "de"), ("a", "1", "en", "fr")]
    keys = [key for each in facts for key in keys_of(["one", "two", "one"], *each).values()]
    assert len(set(keys)) == len(keys) == 8
    assert keys_of(["one"], *facts[0])["one"] == keys[0]


def test_what_is_put_in_comes_out_however_much_it_is(tmp_path: Path) -> None:
    answers = {key: f"answer {text}" for text, key in keys_of(map(str, range(1200)), "engine").items()}
    with open_store(tmp_path / "deep") as store:
        assert store.get(list(answers)) == {}
        assert store.put(answers)
    with open_store(tmp_path / "deep") as store:
        assert store.get([*answers, b"unknown"]) == answers


def test_a_cache_of_an_earlier_format_starts_anew(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE answers (run INTEGER, text BLOB, answer TEXT)")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    with open_store(tmp_path) as store:
        assert store.put({b"key": "answer"})
        assert store.get([b"key"]) == {b"key": "answer"}


def test_a_damaged_a_newer_and_a_foreign_file(tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_bytes(b"this is no database, however long it may be, and it has no header" * 20)
    with pytest.raises(StorageError, match="is damaged"), open_store(tmp_path):
        pass
    for statement, error, said in (
        (f"PRAGMA user_version = {FORMAT + 1}", ConfigError, "newer format"),
        ("CREATE TABLE other (x)", StorageError, "is not glotclip's cache"),
    ):
        file.unlink()
        with sqlite3.connect(file) as connection:
            connection.execute(statement)
        connection.close()
        with pytest.raises(error, match=said), open_store(tmp_path):
            pass


def test_where_nothing_can_be_kept_nothing_is_found_and_that_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(CacheWarning), open_store(tmp_path / "file") as store:
        assert not store.put({b"key": "answer"})
        assert store.get([b"key"]) == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once a process and folder
        with open_store(tmp_path / "file"):
            pass
