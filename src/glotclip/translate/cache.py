"""The disk cache of translations: one SQLite file for all engines.

An answer is found by a hash of engine, version, pair of languages and text. Answers are written chunk by chunk, each
chunk in one transaction, so a kill loses one chunk at most, and several processes may share the file.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from glotclip.errors import ConfigError, StorageError
from glotclip.storage import cannot_keep

FILE = "translations.sqlite"
FORMAT = 2
_WAIT_SECONDS = 60.0
_AT_ONCE = 500  # SQLite's oldest limit of variables in one statement is 999
_SCHEMA = f"""
DROP TABLE IF EXISTS answers;
DROP TABLE IF EXISTS runs;
CREATE TABLE IF NOT EXISTS translations (key BLOB PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""


def keys_of(texts: Iterable[str], *facts: str) -> dict[str, bytes]:
    """The key of each text, given all else that decides its answer: engine, version, languages."""
    before = hashlib.sha256("\n".join(facts).encode()).digest()
    return {text: hashlib.sha256(before + text.encode()).digest()[:16] for text in texts}


class Store:
    """The open cache. An empty answer is one too: the engine was asked and had none.

    Args:
        connection: to the file; None where it cannot even be read.
        folder: the file's, for the warning where nothing can be kept.
        writable: whether the file can be written.
    """

    def __init__(self, connection: sqlite3.Connection | None, folder: Path, *, writable: bool) -> None:
        self._connection, self._folder, self._writable = connection, folder, writable

    def get(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Return the answers that are there."""
        answers: dict[bytes, str] = {}
        if self._connection is not None:
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                answers |= self._connection.execute(
                    f"SELECT key, answer FROM translations WHERE key IN ({marks})", some
                ).fetchall()
        return answers

    def put(self, answers: Mapping[bytes, str]) -> bool:
        """Keep answers, all or none of them, unless the disk refuses, now or before; say whether they were taken."""
        if self._writable and self._connection is not None:
            try:
                with self._connection:
                    self._connection.executemany("INSERT OR REPLACE INTO translations VALUES (?, ?)", answers.items())
            except sqlite3.OperationalError as error:  # full, read-only, locked for long
                self._writable = False
                cannot_keep(self._folder, error)
        return self._writable


@contextmanager
def open_store(folder: Path) -> Iterator[Store]:
    """Open the cache's file in a folder, made if need be.

    Where the system refuses, that is warned of, and what others wrote is read if it can be.

    Raises:
        ConfigError: if the file has a newer format.
        StorageError: if it is damaged, or no cache of translations.
    """
    path = folder / FILE
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            connection: sqlite3.Connection | None = _prepared(sqlite3.connect(path, timeout=_WAIT_SECONDS), path)
            writable = True
        except (OSError, sqlite3.OperationalError) as error:  # locked, full, read-only, a file in a folder's place
            cannot_keep(folder, error)
            connection, writable = _read_only(path), False
        with closing(connection) if connection else nullcontext():
            yield Store(connection, folder, writable=writable)
    except sqlite3.OperationalError as error:  # reading met a lock that was held for long, or a bad disk
        raise StorageError(
            f"the cache {path} cannot be read ({error})",
            hint="wait for the other process, or choose another --cache; what was done is kept",
        ) from error
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"the cache {path} is damaged ({error})",
            hint="remove the file; it only holds what can be translated again",
        ) from error


def _read_only(path: Path) -> sqlite3.Connection | None:
    """A connection to a cache that others wrote; None without one."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        if connection.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
            return connection
        connection.close()
    except sqlite3.OperationalError:
        pass
    return None


def _prepared(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        connection.close()
        raise ConfigError(
            f"the cache {path} is of a newer format ({version}, known: {FORMAT})",
            hint="update glotclip, or choose another --cache",
        )
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        connection.close()
        raise StorageError(f"{path} is not glotclip's cache", hint="choose another --cache")
    if version < FORMAT:
        with connection:
            connection.executescript(_SCHEMA)
    return connection
