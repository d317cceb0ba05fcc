"""The catalogue of a library: one SQLite file in WAL mode, changed by one process at a time and read by any number.

The schema is what the numbered files in ``schema/`` make of an empty database, each applied once and as a whole.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from glotclip.errors import StorageError
from glotclip.storage import shown

FILE = "catalogue.sqlite"
APPLICATION = 0x676C6F74  # "glot": what says that a database is ours
_BUSY_SECONDS = 30.0
_MOST_PARAMETERS = 30_000  # of one statement; SQLite's limit is 32,766
_FULL, _READ_ONLY, _LOCKED = "disk is full", "readonly", "locked"


class _Connection(sqlite3.Connection):
    """A connection that can be referred to weakly, and closes itself when its thread has ended."""

    def __del__(self) -> None:
        self.close()


class Catalogue:
    """A library's catalogue.

    Any number of threads may use one; each has a connection of its own.

    Args:
        path: the file.
        create: whether to make it if it is not there.

    Raises:
        StorageError: if there is none, it is damaged, of a newer glotclip, or no catalogue at all.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._local = threading.local()
        self._all: weakref.WeakSet[_Connection] = weakref.WeakSet()  # a thread that ends lets go of its own
        self._lock = threading.Lock()
        if not path.exists() and not create:
            raise StorageError(f"there is no library in {shown(path.parent)}", hint="make one: `glotclip index DIR`")
        with self.errors():
            self._migrate()

    @property
    def db(self) -> sqlite3.Connection:
        """This thread's connection; statements outside :meth:`changing` only read."""
        found: _Connection | None = getattr(self._local, "db", None)
        if found is None:
            found = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=_Connection
            )
            found.execute("PRAGMA foreign_keys = ON")
            # A power cut may undo the last changes, never half of one; what the store has beyond is then put right.
            found.execute("PRAGMA synchronous = NORMAL")
            with self._lock:
                self._all.add(found)
            self._local.db = found
        return found

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for each in list(self._all):
                each.close()
            self._all.clear()
        self._local = threading.local()

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return all it gives."""
        with self.errors():
            return self.db.execute(statement, values).fetchall()

    def rows_of(self, statement: str, numbers: Sequence[int]) -> list[tuple[Any, ...]]:
        """Run a statement in which ``{}`` stands for a list of any number of numbers."""
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(numbers), _MOST_PARAMETERS):
            part = [int(number) for number in numbers[start : start + _MOST_PARAMETERS]]
            found += self.rows(statement.format(",".join("?" * len(part))), part)
        return found

    def value(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Return the first value that a statement gives, or None."""
        found = self.rows(statement, values)
        return found[0][0] if found else None

    @property
    def generation(self) -> int:
        """A number that every change raises."""
        return int(self.value("SELECT generation FROM state"))

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Change the catalogue inside, as a whole or not at all."""
        with self.errors():
            db = self.db
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("UPDATE state SET generation = generation + 1")
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's complaints into :class:`StorageError` with a next step."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                raise
            said, place = str(error), shown(self.path)
            if _FULL in said:
                raise StorageError(
                    f"the disk is full while writing {place}",
                    hint="free some space and repeat the command; what was indexed before is unchanged",
                ) from error
            if _READ_ONLY in said or "unable to open" in said:
                raise StorageError(
                    f"the library {place} cannot be opened ({said})", hint="check the folder and its permissions"
                ) from error
            if _LOCKED in said:
                raise StorageError(
                    f"another process holds the library {place}", hint="wait until it has finished"
                ) from error
            raise StorageError(
                f"the library's catalogue {place} is damaged ({said})",
                hint="restore the file, or move the library's folder away and index again",
            ) from error

    def _migrate(self) -> None:
        db = self.db
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if tables and int(db.execute("PRAGMA application_id").fetchone()[0]) != APPLICATION:
            raise StorageError(
                f"{shown(self.path)} is a database of another program", hint="choose another folder as --library"
            )
        steps = _schema()
        if version > len(steps):
            raise StorageError(
                f"the library {shown(self.path.parent)} was made by a newer glotclip", hint="update glotclip"
            )
        if version == len(steps):
            return
        db.execute("PRAGMA journal_mode = WAL")
        with self.changing():
            # Another process may have been first.
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            for number, step in enumerate(steps[version:], start=version + 1):
                for statement in _statements(step):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
            db.execute(f"PRAGMA application_id = {APPLICATION}")


def _schema() -> list[str]:
    """The migrations in order."""
    files = list(resources.files("glotclip.library").joinpath("schema").iterdir())
    return [each.read_text(encoding="utf-8") for each in sorted(files, key=lambda each: each.name)]


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; ``executescript`` would end the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
