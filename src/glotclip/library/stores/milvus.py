"""Vectors in Milvus: ``milvus:PATH.db#COLLECTION`` is a file (Milvus Lite), ``milvus://host:19530/database#COLLECTION``
a server or a cluster.

The index compares every vector, so that answers are exact; with ``?index=hnsw`` a new collection has an approximate
one, and answers are as good as the candidates that it finds.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from glotclip.errors import ConfigError, StorageError, require
from glotclip.library.stores.address import address_of
from glotclip.library.stores.exact import ENOUGH, as_kept, best, cosines, for_each
from glotclip.library.stores.protocol import Floats, Numbers

_BATCH = 1000  # vectors that are sent or fetched at once
_MOST = 16_384  # hits that Milvus gives at most
_NAMED = 4096  # rows that a filter names at once
_GRAPH = {"M": 16, "efConstruction": 128}
_EFFORT = 400  # candidates of the index, at least
_SECONDS, _SECONDS_OF_A_FILE = 10.0, 60.0  # Milvus Lite starts a process of its own, which a busy machine delays
# pymilvus asks every ten seconds whether the engine is there, and grpc's servers, Milvus Lite's among them, end a
# connection on which more than one such question comes within five minutes.
_QUIET = {"grpc.keepalive_time_ms": 600_000, "grpc.keepalive_permit_without_calls": 0}


def open_url(url: str, dim: int, *, create: bool = False) -> MilvusStore:
    """Open the store of a URL."""
    return MilvusStore(url, dim, create=create)


class MilvusStore:
    """See :class:`glotclip.library.stores.protocol.VectorStore`.

    Raises:
        ConfigError: if the URL names no collection.
        StorageError: if the engine cannot be reached, or has no such collection and none is to be made.
    """

    def __init__(self, url: str, dim: int, *, create: bool = False) -> None:
        self.url, self.dim = url, dim
        self._address = address_of(url)
        self.collection = self._address.name
        address = self._address.engine.removeprefix("milvus:")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,200}", self.collection):
            raise ConfigError(
                f"{self._address.shown!r} names no collection",
                hint="milvus:vectors.db#photos, milvus://host:19530#photos",
            )
        pymilvus: Any = require("pymilvus", extra="milvus", purpose="vectors in Milvus")
        logging.getLogger("pymilvus").setLevel(logging.ERROR)  # Milvus Lite lacks what its iterators ask for first
        self._types = pymilvus.DataType
        given: dict[str, Any] = {"uri": address, "timeout": _SECONDS_OF_A_FILE, "grpc_options": _QUIET}
        if address.startswith("//"):
            host, _, database = address[2:].partition("/")
            given |= {"uri": f"http://{host}", "timeout": _SECONDS} | ({"db_name": database} if database else {})
        with self._errors():
            with _causes():
                self._client: Any = pymilvus.MilvusClient(**given)
            there = self._client.has_collection(self.collection)
            if not there and not create:
                raise StorageError(
                    f"there are no vectors in {self._address.shown}", hint="make them: `glotclip index`"
                )
            if not there:
                self._make()
            self._check_width()
            self._client.load_collection(self.collection)

    def _make(self) -> None:
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("row", self._types.INT64, is_primary=True)
        schema.add_field("v", self._types.FLOAT_VECTOR, dim=self.dim)
        index = self._client.prepare_index_params()
        if self._address.approximate:
            index.add_index(field_name="v", index_type="HNSW", metric_type="IP", params=_GRAPH)
        else:
            index.add_index(field_name="v", index_type="FLAT", metric_type="IP")
        self._client.create_collection(self.collection, schema=schema, index_params=index, consistency_level="Strong")

    def _check_width(self) -> None:
        fields = self._client.describe_collection(self.collection)["fields"]
        width = next((int(each["params"]["dim"]) for each in fields if each["name"] == "v"), 0)
        if width != self.dim:
            raise StorageError(
                f"{self._address.shown} has vectors of {width} numbers, not {self.dim}", hint="name another one"
            )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (StorageError, ConfigError):
            raise
        except Exception as error:  # pymilvus, grpc and the file engine have no base class in common
            first = str(error).strip().splitlines()
            raise StorageError(
                f"{self._address.shown} does not answer: {first[0] if first else type(error).__name__}",
                hint="check that the engine runs; what was written before is kept",
            ) from error

    def __len__(self) -> int:
        with self._errors():
            told = self._client.query(self.collection, filter="", output_fields=["count(*)"])
            return int(told[0]["count(*)"])

    def add(self, rows: Numbers, vectors: Floats) -> None:
        """Put vectors under rows."""
        kept = as_kept(np.asarray(vectors, np.float32))
        last = {row: place for place, row in enumerate(rows.tolist())}
        entries = [{"row": row, "v": kept[place].tolist()} for row, place in last.items()]
        with self._errors():
            for start in range(0, len(entries), _BATCH):
                self._client.upsert(self.collection, entries[start : start + _BATCH])

    def delete(self, rows: Numbers) -> None:
        """Take rows out."""
        with self._errors():
            for start in range(0, len(rows), _NAMED):
                self._client.delete(self.collection, filter=_named(rows[start : start + _NAMED]))

    def rows(self) -> Numbers:
        """All rows, ascending."""
        found: list[int] = []
        with self._errors():
            iterator = self._client.query_iterator(
                self.collection, batch_size=_MOST, filter="row >= 0", output_fields=["row"]
            )
            while part := iterator.next():
                found += [int(each["row"]) for each in part]
            iterator.close()
        return np.array(sorted(set(found)), np.int64)

    def get(self, rows: Numbers) -> Floats:
        """Vectors by rows.

        Raises:
            StorageError: if one is not there.
        """
        found: dict[int, Any] = {}
        with self._errors():
            for start in range(0, len(rows), _BATCH):
                part = rows[start : start + _BATCH].tolist()
                for each in self._client.get(self.collection, ids=part, output_fields=["row", "v"]):
                    found[int(each["row"])] = each["v"]
        if missing := [row for row in rows.tolist() if row not in found]:
            raise StorageError(
                f"{self._address.shown} lacks {len(missing)} vectors that were asked for", hint="`glotclip index`"
            )
        listed = [found[row] for row in rows.tolist()]
        return np.array(listed, np.float32).reshape(len(listed), self.dim)

    def search(self, queries: Floats, k: int, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """The engine finds candidates, whose exact cosines decide."""
        k = max(k, 0)
        return for_each(queries, k, lambda query: self._best(query, k, among))

    def _best(self, query: Floats, k: int, among: Numbers | None) -> tuple[Numbers, Floats]:
        if among is not None and not len(among):
            return best(np.zeros(0, np.int64), np.zeros(0, np.float32), k)
        rows = self._thinned(query, k + ENOUGH, among)
        if rows is None:
            some = [None] if among is None else [among[at : at + _NAMED] for at in range(0, len(among), _NAMED)]
            rows = np.concatenate([self._candidates(query, min(k + ENOUGH, _MOST), part) for part in some])
        if self._address.approximate and len(rows) < k and len(rows) < len(self if among is None else among):
            rows = self.rows() if among is None else among  # an index may miss some, but must not run out
        return best(rows, cosines(self.get(rows), query), k)

    def _thinned(self, query: Floats, count: int, among: Numbers | None) -> Numbers | None:
        """Candidates among many rows, of the best of all: one search, where naming the rows would take several."""
        if among is None or len(among) <= _NAMED:
            return None
        depth = 2 * count * len(self) // len(among)
        if depth > _MOST:
            return None
        best_of_all = self._candidates(query, depth, None)
        found = best_of_all[np.isin(best_of_all, among)]
        return found if len(found) >= count else None

    def _candidates(self, query: Floats, count: int, among: Numbers | None) -> Numbers:
        effort = {"params": {"ef": max(count, _EFFORT)}} if self._address.approximate else None
        with self._errors():
            told = self._client.search(
                self.collection, data=[query.tolist()], limit=count, filter="" if among is None else _named(among),
                output_fields=["row"], search_params=effort,
            )  # fmt: skip
        return np.array([int(each["entity"]["row"]) for each in told[0]], np.int64)

    def scores(self, query: Floats, rows: Numbers) -> Floats:
        """Cosines with some rows."""
        return cosines(self.get(rows), query)

    def compact(self) -> None:
        """Ask the engine to give back what was deleted; a file does so by itself."""
        with contextlib.suppress(Exception):  # Milvus Lite has no such call
            self._client.compact(self.collection)

    def remove(self) -> None:
        """Drop the collection."""
        with self._errors():
            self._client.drop_collection(self.collection)

    def flush(self) -> None:
        """Have all that was changed on the disk."""
        with self._errors():
            self._client.flush(self.collection)

    def close(self) -> None:
        """Let go of the connection."""
        with contextlib.suppress(Exception):  # it may have gone away, which closes it, too
            self._client.close()


@contextlib.contextmanager
def _causes() -> Iterator[None]:
    """Raise what kept Milvus Lite from starting, which it only logs and pymilvus does not know.

    Raises:
        StorageError: if another process has the file, which serves one at a time.
    """
    told: list[BaseException] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.extend(each for each in (record.exc_info or ())[1:2] if isinstance(each, BaseException))

    log, ear = logging.getLogger("milvus_lite"), Ear()
    log.addHandler(ear)
    log.propagate, before = False, log.propagate
    try:
        yield
    except Exception as error:
        cause = told[0] if told else error
        if type(cause).__name__ == "DataDirLockedError":
            raise StorageError(
                "another process has the Milvus file open, which serves one at a time",
                hint="stop that process, maybe `glotclip serve`; `milvus-lite server` serves several",
            ) from error
        raise cause from error
    finally:
        log.propagate = before
        log.removeHandler(ear)


def _named(rows: Numbers) -> str:
    return f"row in [{', '.join(map(str, rows.tolist()))}]"
