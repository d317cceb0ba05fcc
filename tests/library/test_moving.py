"""A library moved from engine to engine answers as before, and one whose move was stopped is where it was."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.library.conftest import CountingEncoder
from tests.library.stores.conftest import lite, postgres  # noqa: F401 -- fixtures

from glotclip.errors import ConfigError, StorageError
from glotclip.library import moving
from glotclip.library.library import Library
from glotclip.library.stores import open_store
from glotclip.library.stores.postgres import PostgresStore


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
    left = library.models[0].store_url
    assert {name: moved.vectors for name, moved in library.move("file:").items()} == {encoder.name: 38}
    assert _gone(left, encoder.dim)
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


def _gone(url: str, dim: int) -> bool:
    try:
        open_store(url, dim).close()
    except StorageError:
        return True
    return False


MOVES = st.tuples(st.integers(0, 1), st.sampled_from(["postgres", "postgres hnsw", "milvus", "file:"]))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(MOVES, st.tuples(st.integers(0, 1), st.integers(1, 40))), min_size=2, max_size=7))
def test_libraries_share_engines_and_leave_nothing_behind(
    tmp_path_factory: pytest.TempPathFactory,
    encoder: CountingEncoder,
    photos: Path,
    lite: str,  # noqa: F811
    postgres: str,  # noqa: F811
    steps: list[tuple[int, str | int]],
) -> None:
    """Two libraries move to and fro between the same addresses, and forget items meanwhile (a number is an item)."""
    between = "&" if "?" in postgres else "?"
    urls = {"postgres": postgres, "postgres hnsw": f"{postgres}{between}index=hnsw", "milvus": lite, "file:": "file:"}
    folder, with_both = tmp_path_factory.mktemp("two"), contextlib.ExitStack()
    with with_both:
        two = [with_both.enter_context(Library(folder / name, create=True)) for name in ("one", "other")]
        for each in two:
            each.index([photos], encoder=encoder)
        forgotten: list[set[int]] = [set(), set()]
        for which, step in steps:
            library = two[which]
            if isinstance(step, int):
                library.forget([step])
                forgotten[which].add(step)
            else:
                left = library._address(library.models[0])
                moved = library.move(urls[step])
                assert all(not each.left for each in moved.values())
                assert _gone(left, encoder.dim) == bool(moved)
            for one, gone in zip(two, forgotten, strict=True):
                with one.changing_store(one.models[0]) as store:
                    assert len(store) == 40 - len(gone)
                hits = one.search("a dog", lang="en", limit=40, fold=False, min_probability=0).hits
                assert {hit.item for hit in hits} == set(range(1, 41)) - gone
        for one in two:  # sessions' databases are shared with other tests
            one.move("file:")


def test_models_of_one_name_are_moved_each(
    library: Library,
    encoder: CountingEncoder,
    photos: Path,
    postgres: str,  # noqa: F811
) -> None:
    """As an export in 8 bits has the name of its base."""
    other = CountingEncoder(encoder.polyglot)
    other.fingerprint = f"{encoder.fingerprint[:-4]}int8"
    for each in (encoder, other):
        library.index([photos], encoder=each)
    for url in (f"{postgres}#twins", "file:"):
        library.move(url)
        assert len({model.store_url for model in library.models}) == 2
        for model in library.models:
            with library.changing_store(model) as store:
                assert len(store) == 40
    assert len(list(library.path.glob("vectors*"))) == 2


def test_what_cannot_be_removed_is_told(
    library: Library,
    encoder: CountingEncoder,
    photos: Path,
    postgres: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library.index([photos], encoder=encoder)
    library.move(postgres)

    def refuse(store: PostgresStore) -> None:
        raise StorageError("no permission", hint="ask whoever has it")

    monkeypatch.setattr(PostgresStore, "remove", refuse)
    there = library.models[0].store_url
    (moved,) = library.move("file:").values()
    assert moved.left == there and library.search("a dog", lang="en", min_probability=0).hits
    (again,) = library.move(postgres).values()
    assert again.url != there  # what stayed is not touched


def test_names_that_were_not_drawn_may_be_anothers(
    library: Library,
    encoder: CountingEncoder,
    photos: Path,
    postgres: str,  # noqa: F811
) -> None:
    """An older glotclip named tables by the model alone, so that two libraries could share one."""
    library.index([photos], encoder=encoder)
    model, shared = library.models[0], f"{postgres}#vectors_sha256_0123456789abcdef0"
    with (
        library.changing_store(model) as own,
        contextlib.closing(open_store(shared, model.dim, create=True)) as store,
    ):
        store.add(own.rows(), own.get(own.rows()))
    with library.catalogue.changing() as db:
        db.execute("UPDATE model SET store_url = ?", (shared,))
    (moved,) = library.move("file:").values()
    assert moved.left == shared and not _gone(shared, model.dim)


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
