"""A plain store in a file, until the engines come."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from glotclip.library.stores.protocol import Floats, Numbers


class FileStore:
    """Records of (row, vector), appended; a negative row is deleted."""

    def __init__(self, path: Path, dim: int, *, create: bool = False) -> None:
        self.url, self.dim, self.path = f"file:{path}", dim, path
        self._type = np.dtype([("row", "<i8"), ("vector", "<f2", (dim,))])
        self._all: dict[int, Floats] = {}
        if path.exists():
            data = path.read_bytes()
            whole = len(data) // self._type.itemsize * self._type.itemsize
            for record in np.frombuffer(data[:whole], self._type):
                if record["row"] < 0:
                    self._all.pop(-1 - int(record["row"]), None)
                else:
                    self._all[int(record["row"])] = record["vector"].astype(np.float32)
            with path.open("r+b") as stream:
                stream.truncate(whole)
        elif create:
            path.touch()
        self._new: list[bytes] = []
        self._sorted: tuple[Numbers, Floats] | None = None

    def __len__(self) -> int:
        return len(self._all)

    def _table(self) -> tuple[Numbers, Floats]:
        if self._sorted is None:
            rows = np.array(sorted(self._all), np.int64)
            vectors = [self._all[row] for row in rows.tolist()]
            self._sorted = rows, np.stack(vectors) if vectors else np.zeros((0, self.dim), np.float32)
        return self._sorted

    def _put(self, row: int, vector: Floats) -> None:
        record = np.zeros(1, self._type)
        record["row"], record["vector"] = row, vector
        self._new.append(record.tobytes())
        self._sorted = None

    def add(self, rows: Numbers, vectors: Floats) -> None:
        for row, vector in zip(rows.tolist(), vectors, strict=True):
            self._put(row, vector)
            self._all[row] = vector.astype(np.float16).astype(np.float32)

    def delete(self, rows: Numbers) -> None:
        for row in rows.tolist():
            if self._all.pop(row, None) is not None:
                self._put(-1 - row, np.zeros(self.dim, np.float32))

    def get(self, rows: Numbers) -> Floats:
        return (
            np.stack([self._all[row] for row in rows.tolist()]) if len(rows) else np.zeros((0, self.dim), np.float32)
        )

    def rows(self) -> Numbers:
        return self._table()[0]

    def search(self, queries: Floats, k: int, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        rows, vectors = self._table()
        if among is not None:
            keep = np.isin(rows, among)
            rows, vectors = rows[keep], vectors[keep]
        found, scores = np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), -np.inf, np.float32)
        for place, query in enumerate(queries):
            own = vectors @ query
            best = np.argsort(-own, kind="stable")[:k]
            found[place, : len(best)], scores[place, : len(best)] = rows[best], own[best]
        return found, scores

    def scores(self, query: Floats, rows: Numbers) -> Floats:
        return np.asarray(self.get(rows) @ query, np.float32)

    def compact(self) -> None:
        self._new = []
        aside = self.path.with_suffix(".part")
        records = np.zeros(len(self._all), self._type)
        records["row"], records["vector"] = self._table()
        aside.write_bytes(records.tobytes())
        aside.replace(self.path)

    def flush(self) -> None:
        with self.path.open("ab") as stream:
            stream.write(b"".join(self._new))
            stream.flush()
            os.fsync(stream.fileno())
        self._new = []

    def close(self) -> None:
        self.flush()
