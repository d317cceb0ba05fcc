"""Vectors in PostgreSQL with pgvector: ``postgresql://user@host/database#TABLE``.

The table has a row's number and its vector; every vector is compared, so that answers are exact. With ``?index=hnsw``
the database has an approximate index in half precision: answers are then as good as the candidates that it finds.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from glotclip.errors import ConfigError, StorageError, require
from glotclip.library.stores.address import address_of
from glotclip.library.stores.exact import ENOUGH, as_kept, best, cosines, for_each
from glotclip.library.stores.protocol import Floats, Numbers

_BATCH = 2000  # vectors that are sent or fetched at once
_INLINE = 1900  # numbers of a vector that fits into a page, where it is read ten times as fast as from beside it
_SECONDS = 10  # in which a connection has to come about
_ITERATIVE = "SET hnsw.iterative_scan = strict_order"  # or an index with a filter finds too few
_EFFORT, _MOST_EFFORT = 400, 1000  # candidates of the index: at least, and the most that pgvector allows
_INDEXABLE = 4000  # numbers of a vector in half precision that pgvector can index
_GRAPH_BYTES = 400  # of a row in a graph besides its vector, roughly
_MOST_MEMORY = 8192  # MB that building a graph may take; one that outgrows its memory is built very slowly


def open_url(url: str, dim: int, *, create: bool = False) -> PostgresStore:
    """Open the store of a URL."""
    return PostgresStore(url, dim, create=create)


class PostgresStore:
    """See :class:`glotclip.library.stores.protocol.VectorStore`. Threads share one; each has a connection of its own.

    Raises:
        ConfigError: if the URL names no table.
        StorageError: if the database cannot be reached, lacks pgvector, or has no such table and none is to be made.
    """

    def __init__(self, url: str, dim: int, *, create: bool = False) -> None:
        self.url, self.dim = url, dim
        self._address = address_of(url)
        self.table = self._address.name
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", self.table):
            raise ConfigError(
                f"{self._address.shown!r} names no table", hint="postgresql://user@host/database#vectors"
            )
        self._psycopg: Any = require("psycopg", extra="postgres", purpose="vectors in PostgreSQL")
        self._local = threading.local()
        self._all: list[Any] = []
        if self._address.approximate and dim > _INDEXABLE:
            raise ConfigError(f"vectors of {dim} numbers have no index in PostgreSQL", hint="leave out index=hnsw")
        self._indexed = False  # as far as is known
        if create:
            self._run("CREATE EXTENSION IF NOT EXISTS vector")
            self._run(
                f"CREATE TABLE IF NOT EXISTS {self.table} (row bigint PRIMARY KEY, v vector({int(dim)}) NOT NULL)"
            )
            if dim <= _INLINE:
                self._run(f"ALTER TABLE {self.table} ALTER COLUMN v SET STORAGE PLAIN")
        found = self._run(
            "SELECT atttypmod FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'v'", [self.table]
        )
        if not found:
            raise StorageError(f"there are no vectors in {self._address.shown}", hint="make them: `glotclip index`")
        if found[0][0] != dim:
            raise StorageError(
                f"{self._address.shown} has vectors of {found[0][0]} numbers, not {dim}", hint="name another table"
            )

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor in a transaction; a connection that broke is made anew for the next call."""
        try:
            if getattr(self._local, "connection", None) is None or self._local.connection.closed:
                made = self._psycopg.connect(self._address.engine, connect_timeout=_SECONDS)
                self._local.connection = made
                self._all.append(made)
            with self._local.connection.transaction(), self._local.connection.cursor() as cursor:
                yield cursor
        except self._psycopg.Error as error:
            first = str(error).strip().splitlines()
            raise StorageError(
                f"{self._address.shown} does not answer: {first[0] if first else type(error).__name__}",
                hint="check that the database runs and has pgvector; what was written before is kept",
            ) from error

    def _run(self, statement: str, values: Sequence[Any] = (), *, binary: bool = False) -> list[Any]:
        with self._cursor() as cursor:
            cursor.execute(statement, values or None, binary=binary)
            return list(cursor.fetchall()) if cursor.description else []

    def __len__(self) -> int:
        return int(self._run(f"SELECT count(*) FROM {self.table}")[0][0])

    def add(self, rows: Numbers, vectors: Floats) -> None:
        """Put vectors under rows, all or none."""
        kept = as_kept(np.asarray(vectors, np.float32))
        with self._cursor() as cursor:
            cursor.execute(f"CREATE TEMP TABLE incoming (row bigint, v vector({self.dim})) ON COMMIT DROP")
            with cursor.copy("COPY incoming (row, v) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int8", "bytea"])
                for row, vector in zip(rows.tolist(), kept, strict=True):
                    copy.write_row((row, _sent(vector)))
            cursor.execute(
                f"INSERT INTO {self.table} SELECT DISTINCT ON (row) row, v FROM incoming "
                "ON CONFLICT (row) DO UPDATE SET v = excluded.v"
            )

    def delete(self, rows: Numbers) -> None:
        """Take rows out."""
        self._run(f"DELETE FROM {self.table} WHERE row = ANY(%s)", [rows.tolist()])

    def rows(self) -> Numbers:
        """All rows, ascending."""
        found = self._run(f"SELECT row FROM {self.table} ORDER BY row")
        return np.array([row for (row,) in found], np.int64)

    def get(self, rows: Numbers) -> Floats:
        """Vectors by rows.

        Raises:
            StorageError: if one is not there.
        """
        found: dict[int, Floats] = {}
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH].tolist()
            told = self._run(f"SELECT row, v FROM {self.table} WHERE row = ANY(%s)", [part], binary=True)
            found |= {row: _received(content) for row, content in told}
        if missing := [row for row in rows.tolist() if row not in found]:
            raise StorageError(
                f"{self._address.shown} lacks {len(missing)} vectors that were asked for", hint="`glotclip index`"
            )
        return self._stacked([found[row] for row in rows.tolist()])

    def search(self, queries: Floats, k: int, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """The database finds candidates, whose exact cosines decide."""
        k = max(k, 0)
        return for_each(queries, k, lambda query: self._best(query, k, among))

    def _best(self, query: Floats, k: int, among: Numbers | None) -> tuple[Numbers, Floats]:
        where, values = "", [_written(query), k + ENOUGH]
        if among is not None:
            where, values = "WHERE row = ANY(%s) ", [among.tolist(), *values]
        order = "v <#> %s::vector"
        if self._address.approximate:
            order = f"v::halfvec({self.dim}) <#> %s::halfvec({self.dim})"
        statement = f"SELECT row, v FROM {self.table} {where}ORDER BY {order} LIMIT %s"
        told = self._found(statement, values)
        if self._address.approximate and len(told) < k + ENOUGH and len(told) < len(self if among is None else among):
            told = self._found(statement, values, exact=True)  # an index may miss some, but must not run out
        rows = np.array([row for row, _ in told], np.int64)
        vectors = self._stacked([_received(content) for _, content in told])
        return best(rows, cosines(vectors, query), k)

    def _stacked(self, vectors: Sequence[Floats]) -> Floats:
        """Vectors as rows (N, E), of none, too."""
        return np.array(vectors, np.float32).reshape(len(vectors), self.dim)

    def _found(self, statement: str, values: Sequence[Any], *, exact: bool = False) -> list[Any]:
        """The candidates of a query, with the help of an index unless that is not wanted."""
        with self._cursor() as cursor:
            with contextlib.suppress(self._psycopg.Error), self._local.connection.transaction():
                cursor.execute(_ITERATIVE)  # pgvector before 0.8 has no such setting
            if self._address.approximate:
                cursor.execute(f"SET LOCAL hnsw.ef_search = {min(max(_EFFORT, values[-1]), _MOST_EFFORT)}")
            if exact:
                cursor.execute("SET LOCAL enable_indexscan = off")
            cursor.execute(statement, values, binary=True)
            return list(cursor.fetchall())

    def scores(self, query: Floats, rows: Numbers) -> Floats:
        """Cosines with some rows."""
        return cosines(self.get(rows), query)

    def compact(self) -> None:
        """Have the database give back what was deleted."""
        with self._cursor():
            pass  # there is a connection now
        try:
            self._local.connection.autocommit = True
            self._local.connection.execute(f"VACUUM {self.table}")
        except self._psycopg.Error as error:
            raise StorageError(
                f"{self._address.shown} cannot be compacted: {error}", hint="run VACUUM yourself"
            ) from error
        finally:
            self._local.connection.autocommit = False

    def remove(self) -> None:
        """Drop the table."""
        self._run(f"DROP TABLE IF EXISTS {self.table}")

    def flush(self) -> None:
        """Every change is committed; an index that is wanted is made after the first vectors, which is faster."""
        if not self._address.approximate or self._indexed:
            return
        needed = len(self) * (2 * self.dim + _GRAPH_BYTES) // 2**20 + 64
        try:
            self._index(f"SET LOCAL maintenance_work_mem = '{min(needed, _MOST_MEMORY)}MB'")
        except StorageError:  # workers that build together share memory, of which containers have little
            self._index("SET LOCAL max_parallel_maintenance_workers = 0")
        self._indexed = True

    def _index(self, setting: str) -> None:
        """Make the index if it is not there."""
        with self._cursor() as cursor:
            cursor.execute(setting)
            cursor.execute(
                f"CREATE INDEX IF NOT EXISTS {self.table[:58]}_hnsw ON {self.table} "
                f"USING hnsw ((v::halfvec({self.dim})) halfvec_ip_ops)"
            )

    def close(self) -> None:
        """Close the connections."""
        for connection in self._all:
            connection.close()


def _written(vector: Floats) -> str:
    """A vector as SQL text has it."""
    return "[" + ",".join(map(repr, vector.tolist())) + "]"


def _sent(vector: Floats) -> bytes:
    """A vector as pgvector receives it in binary: how many numbers in two bytes, two bytes unused, the numbers."""
    return len(vector).to_bytes(2, "big") + b"\0\0" + vector.astype(">f4").tobytes()


def _received(content: bytes) -> Floats:
    """A vector of what pgvector sends in binary."""
    return np.frombuffer(content, ">f4", offset=4).astype(np.float32)
