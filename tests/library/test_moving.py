"""A library moved from engine to engine answers as before, and one whose move was stopped is where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.library.conftest import CountingEncoder
from tests.library.stores.conftest import lite, postgres  # noqa: F401 -- fixtures

from glotclip.errors import ConfigError, StorageError
from glotclip.library import moving
from glotclip.library.library import Library
from glotclip.library.stores import open_store


@pytest.fixture(params=["milvus", "postgres", "milvus hnsw", "postgres hnsw"])
def engine(request: pytest.FixtureRequest) -> str:
    """An engine's address; an approximate index finds all of so few vectors."""
    kind, _, index = request.param.partition(" ")
    base: str = request.getfixturevalue("lite" if kind == "milvus" else "postgres")
    return base + (f"{'&' if '?' in base else '?'}index={index}" if index else "") + "#moved"


def asked(library: Library, folder: Path) -> list[list[tuple[int, float]]]:
    """Answers of several kinds, with filters."""
    found = []
    for query in ({"query": "a dog"}, {"query": "a cat -dog", "folder": folder / "trip"}, {"like": 3}):
        answer = library.search(**query, lang="en" if "query" in query else None, min_probability=0)
        found.append([(hit.item, hit.score) for hit in answer.hits])
    return found


def test_there_and_back(library: Library, encoder: CountingEncoder, photos: Path, engine: str) -> None:
    library.index([photos], encoder=encoder)
    before, encoded = asked(library, photos), encoder.count
    (moved,) = library.move(engine).values()
    assert moved.vectors == 40 and library.models[0].store_url == moved.url
    assert not list(library.path.glob("vectors*"))
    assert asked(library, photos) == before
    (photos / "01.png").unlink()
    library.hide([5])
    assert library.index(encoder=encoder).removed == 1 and encoder.count == encoded  # it goes on there
    library.forget([7])
    with Library(library.path) as again:
        again.add_encoder(encoder)
        model = again.models[0]
        with again.changing_store(model) as store:
            assert len(store) == 38
        after = asked(again, photos)
    assert {name: moved.vectors for name, moved in library.move("file:").items()} == {encoder.name: 38}
    assert asked(library, photos) == after


def test_an_index_is_made_and_given_up_by_moving(
    library: Library,
    encoder: CountingEncoder,
    photos: Path,
    postgres: str,  # noqa: F811
) -> None:
    library.index([photos], encoder=encoder)
    before, between = asked(library, photos), "&" if "?" in postgres else "?"
    exact, approximate = f"{postgres}#plain", f"{postgres}{between}index=hnsw#plain"
    for url in (exact, approximate, exact):
        (moved,) = library.move(url).values()
        assert library.models[0].store_url == moved.url
        with library.changing_store(library.models[0]) as store:
            found = store._run("SELECT indexdef FROM pg_indexes WHERE tablename = %s", [store.table])  # type: ignore[attr-defined]
        assert any("hnsw" in definition for (definition,) in found) == (url == approximate)
        assert asked(library, photos) == before


def test_a_move_that_is_stopped_changes_nothing(
    library: Library, encoder: CountingEncoder, photos: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([photos], encoder=encoder)
    before, where = asked(library, photos), library.models[0].store_url
    monkeypatch.setattr(moving, "_BATCH", 16)

    def stop(done: int, total: int) -> None:
        if done >= 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.move(f"{engine}_stopped", stop)
    assert library.models[0].store_url == where and asked(library, photos) == before
    told: list[int] = []
    library.move(f"{engine}_stopped", lambda done, total: told.append(done))
    assert told == [40]  # 32 were there
    assert asked(library, photos) == before


def test_others_vectors_are_not_mixed_in(
    library: Library, encoder: CountingEncoder, photos: Path, engine: str
) -> None:
    library.index([photos], encoder=encoder)
    target = moving.target_of(f"{engine}_other", library.models[0], library.path)
    store = open_store(target, encoder.dim, create=True)
    store.add(np.array([10**6], np.int64), np.ones((1, encoder.dim), np.float32))
    store.flush()
    store.close()
    with pytest.raises(StorageError, match="not this library's"):
        library.move(f"{engine}_other")
    assert library.search("a dog", lang="en", min_probability=0).hits


@pytest.mark.parametrize("url", ["redis://x", "postgres", "milvus"])
def test_engines_that_there_are_not(library: Library, encoder: CountingEncoder, photos: Path, url: str) -> None:
    library.index([photos], encoder=encoder)
    with pytest.raises(ConfigError):
        library.move(url)


def test_an_engine_that_is_not_there(
    library: Library, encoder: CountingEncoder, photos: Path, tmp_path: Path, closed: Callable[[], int]
) -> None:
    library.index([photos], encoder=encoder)
    with pytest.raises(StorageError, match="does not answer"):
        library.move(f"postgresql://127.0.0.1:{closed()}/none")
    assert library.search("a dog", lang="en", min_probability=0).hits


@pytest.fixture
def closed() -> Callable[[], int]:
    """A port at which nobody listens."""
    import socket

    def port() -> int:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return int(sock.getsockname()[1])

    return port
