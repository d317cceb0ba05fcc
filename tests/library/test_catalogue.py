"""The catalogue changes as a whole, tells what is wrong with it, and is read by several at once."""

from __future__ import annotations

import contextlib
import gc
import sqlite3
import threading
from pathlib import Path

import pytest

from glotclip.errors import StorageError
from glotclip.library import catalogue, records
from glotclip.library.catalogue import FILE, Catalogue
from glotclip.library.records import Model
from glotclip.models.calibration import CONTRASTIVE


def test_the_schema_is_made_once_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with pytest.raises(StorageError, match="no library"):
        Catalogue(path)
    path.touch()  # what a kill before the first statement leaves
    made = Catalogue(path)
    first = made.generation
    with made.changing() as db:
        db.execute("INSERT INTO root VALUES (1, ?, '1', '[]')", (b"/x",))
    made.close()
    again = Catalogue(path)
    assert again.rows("SELECT path FROM root") == [(b"/x",)]
    assert again.generation == first + 1
    again.db.execute("PRAGMA user_version = 999")
    again.close()
    with pytest.raises(StorageError, match="newer glotclip"):
        Catalogue(path)


def test_a_library_of_an_older_glotclip_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = catalogue._schema()
    monkeypatch.setattr(catalogue, "_schema", lambda: newest[:1])
    old = Catalogue(tmp_path / FILE, create=True)
    with old.changing() as db:
        db.execute("INSERT INTO model VALUES (1, 'sha256:1', 'a', 'a', 8, 'file:vectors', 5)")
    old.close()
    monkeypatch.setattr(catalogue, "_schema", lambda: newest)
    with contextlib.closing(Catalogue(tmp_path / FILE)) as read:
        assert records.models(read) == [Model(1, "sha256:1", "a", "a", 8, "file:vectors", CONTRASTIVE)]
        assert read.value("PRAGMA user_version") == len(newest)


def test_databases_of_others_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program"):
        Catalogue(path, create=True)
    assert path.read_bytes() == before


def test_a_change_that_fails_is_undone(tmp_path: Path) -> None:
    made = Catalogue(tmp_path / FILE, create=True)
    first = made.generation
    with pytest.raises(ZeroDivisionError), made.changing() as db:
        db.execute("INSERT INTO root VALUES (1, ?, '1', '[]')", (b"/x",))
        raise ZeroDivisionError
    assert (made.rows("SELECT * FROM root"), made.generation) == ([], first)


def test_readers_see_whole_changes_from_any_thread(tmp_path: Path) -> None:
    made = Catalogue(tmp_path / FILE, create=True)
    counts: set[int] = set()
    stop, first = threading.Event(), made.generation

    def read() -> None:
        while not stop.is_set():
            counts.add(int(made.value("SELECT count(*) FROM root")))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(0, 50, 5):
        with made.changing() as db:
            for number in range(start, start + 5):
                db.execute("INSERT INTO root VALUES (?, ?, '1', '[]')", (number + 1, str(number).encode()))
    stop.set()
    for thread in threads:
        thread.join()
    assert all(count % 5 == 0 for count in counts)
    assert made.generation == first + 10
    numbers = list(range(100_000))
    assert len(made.rows_of("SELECT id FROM root WHERE id IN ({})", numbers)) == 50


def test_threads_that_ended_leave_no_connection_behind(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "catalogue.sqlite", create=True)
    catalogue.value("SELECT 1")
    for _ in range(20):
        thread = threading.Thread(target=catalogue.value, args=("SELECT 1",))
        thread.start()
        thread.join()
    gc.collect()
    assert len(catalogue._all) == 1
    catalogue.close()
