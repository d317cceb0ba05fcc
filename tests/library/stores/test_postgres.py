"""What is PostgreSQL's own; what all engines promise is in test_protocol.py."""

from __future__ import annotations

import numpy as np
import pytest

from glotclip.errors import ConfigError, StorageError
from glotclip.library.stores.postgres import PostgresStore


@pytest.mark.parametrize("table", ["", "a b", "x;drop", "1x", 'a"b', "A"])
def test_a_table_has_a_plain_name(table: str) -> None:
    with pytest.raises(ConfigError, match="names no table"):
        PostgresStore(f"postgresql://nobody@localhost/x#{table}", 8)


def test_passwords_are_not_told() -> None:
    with pytest.raises(StorageError) as caught:
        PostgresStore("postgresql://me:secret@127.0.0.1:1/none#photos", 8)
    assert "//me:…@127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value) and "does not answer" in str(caught.value)


def test_a_table_of_another_width(postgres: str) -> None:
    PostgresStore(f"{postgres}#width", 8, create=True).close()
    with pytest.raises(StorageError, match="vectors of 8 numbers, not 9"):
        PostgresStore(f"{postgres}#width", 9)


def test_a_connection_that_breaks_is_made_anew(postgres: str) -> None:
    store = PostgresStore(f"{postgres}#broken", 4, create=True)
    store.add(np.array([1], np.int64), np.eye(4, dtype=np.float32)[:1])
    backend = store._run("SELECT pg_backend_pid()")[0][0]
    other = PostgresStore(f"{postgres}#broken", 4)
    other._run("SELECT pg_terminate_backend(%s)", [backend])
    with pytest.raises(StorageError, match="does not answer"):
        store.rows()
    assert store.rows().tolist() == [1]
    store.close()
    other.close()


def test_an_index_in_the_database_is_used_with_filters(postgres: str) -> None:
    store = PostgresStore(f"{postgres}#indexed", 4, create=True)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(800, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store.add(np.arange(800, dtype=np.int64), vectors)
    store._run("CREATE INDEX ON indexed USING hnsw (v vector_ip_ops)")
    found, _ = store.search(vectors[:1], 20, among=np.arange(0, 800, 40, dtype=np.int64))
    assert sorted(found[0].tolist()) == list(range(0, 800, 40))
    store.close()
