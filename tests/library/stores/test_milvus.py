"""What is Milvus's own; what all engines promise is in test_protocol.py."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glotclip.errors import ConfigError, StorageError
from glotclip.library.stores.milvus import MilvusStore


@pytest.mark.parametrize("name", ["", "a b", "x-y", "1x"])
def test_a_collection_has_a_plain_name(name: str) -> None:
    with pytest.raises(ConfigError, match="names no collection"):
        MilvusStore(f"milvus:vectors.db#{name}", 8)


def test_a_collection_of_another_width(lite: str) -> None:
    MilvusStore(f"{lite}#width", 8, create=True).close()
    with pytest.raises(StorageError, match="vectors of 8 numbers, not 9"):
        MilvusStore(f"{lite}#width", 9)


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(StorageError, match="does not answer"):
        MilvusStore(f"milvus://127.0.0.1:{port}#photos", 8)


HOLD = """
import sys, time
from glotclip.library.stores.milvus import MilvusStore
store = MilvusStore(sys.argv[1], 8, create=True)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_file_that_another_process_has_open(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("milvus_lite")
    url = f"milvus:{tmp_path / 'held.db'}#photos"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        with pytest.raises(StorageError, match="another process has the Milvus file open"):
            MilvusStore(url, 8)
        other.communicate("")
    assert "Traceback" not in capfd.readouterr().err
    MilvusStore(url, 8).close()


def test_many_rows_are_found_among_the_best_of_all(lite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is that of naming the rows, in one search for each query."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = MilvusStore(f"{lite}#thinned", 8, create=True)
    store.add(np.arange(3000, dtype=np.int64), vectors)
    many = np.sort(rng.choice(3000, 600, replace=False)).astype(np.int64)
    named = store.search(vectors[:5], 7, many)
    monkeypatch.setattr("glotclip.library.stores.milvus._NAMED", 50)
    searches = []
    ask = store._client.search

    def counted(*given: object, **more: object) -> object:
        searches.append(given)
        return ask(*given, **more)

    monkeypatch.setattr(store._client, "search", counted)
    thinned = store.search(vectors[:5], 7, many)
    np.testing.assert_array_equal(named[0], thinned[0])
    np.testing.assert_array_equal(named[1], thinned[1])
    assert len(searches) == 5
    # Where the best of all are none of the rows, these are named.
    far = np.sort(np.argsort(vectors @ vectors[0])[:600]).astype(np.int64)
    assert np.isin(store.search(vectors[:1], 7, far)[0], far).all() and len(searches) > 6
    store.close()
