"""What is Milvus's own; what all engines promise is in test_protocol.py."""

from __future__ import annotations

import socket

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
