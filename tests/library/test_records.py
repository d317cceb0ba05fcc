"""What is written into a catalogue: contents once, files by their names, vectors by their items."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.library.conftest import CountingEncoder, picture

from glotclip.data.digests import Facts
from glotclip.errors import StorageError
from glotclip.library import records
from glotclip.library.catalogue import Catalogue
from glotclip.library.decoding import decode_image


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue(tmp_path / "catalogue.sqlite", create=True)
    with made.changing() as db:
        db.execute("INSERT INTO root (path, dev) VALUES (?, '1')", (os.fsencode(tmp_path),))
        inner = os.fsencode(tmp_path / "in")
        db.execute("INSERT INTO root (path, dev) VALUES (?, '1')", (inner,))
    yield made
    made.close()


def test_a_content_is_entered_once_and_its_files_by_name(
    catalogue: Catalogue, tmp_path: Path, encoder: CountingEncoder
) -> None:
    paths = [picture(tmp_path / name, 1) for name in ("b.png", "a.png", "in/c.png")]
    found = decode_image(paths[0], encoder)
    with catalogue.changing() as db:
        number = records.put_item(db, b"1" * 32, found)
        assert records.put_item(db, b"1" * 32, found) == number
        for path in paths:
            assert records.put_file(db, path, number, Facts.of(path), settled=True, motion=path == paths[1]) is None
        other = records.put_item(db, b"2" * 32, found)
        assert records.put_file(db, paths[0], other, Facts.of(paths[0]), settled=True, motion=False) == number
        assert records.put_file(db, paths[0], number, Facts.of(paths[0]), settled=True, motion=False) == other
    assert records.paths_of(catalogue, [number, other, 99]) == {
        number: [paths[0], paths[2], paths[1]],
        other: [],
        99: [],
    }
    assert records.items(catalogue, [number, other]).keys() == {number}
    assert records.identity(paths[0].stat()) in records.facts_of(catalogue, number)
    roots = dict(catalogue.rows("SELECT folder.path, root.path FROM folder JOIN root ON root.id = root"))
    assert roots[os.fsencode(tmp_path / "in")] == os.fsencode(tmp_path / "in")  # the innermost that holds it


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moments=st.lists(st.lists(st.none() | st.floats(0, 100), max_size=4), max_size=6), gone=st.sets(st.integers(0, 5))
)
def test_rows_of_vectors_are_never_used_twice(
    tmp_path: Path, encoder: CountingEncoder, moments: list[list[float | None]], gone: set[int]
) -> None:
    catalogue = Catalogue(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite", create=True)
    found = decode_image(picture(tmp_path / "a.png", 1), encoder)
    model = records.use_model(catalogue, encoder, "file:vectors")
    with catalogue.changing() as db:
        items = [records.put_item(db, bytes([number]) * 32, found) for number in range(len(moments))]
        rows = records.put_vectors(db, model, zip(items, moments, strict=True))
        dropped = records.drop_vectors(db, [items[place] for place in gone if place < len(items)])
        again = records.put_vectors(db, model, zip(items, moments, strict=True))
    lost = {row for numbers in dropped.values() for row in numbers.tolist()}
    assert len(lost) == sum(len(moments[place]) for place in gone if place < len(items))
    assert not {*rows.tolist()} & {*again.tolist()}
    kept = sorted(({*rows.tolist()} - lost) | {*again.tolist()})
    assert records.rows_of(catalogue, model).tolist() == kept
    catalogue.close()


def test_a_model_of_another_width_is_refused(catalogue: Catalogue, encoder: CountingEncoder) -> None:
    model = records.use_model(catalogue, encoder, "file:vectors")
    assert records.models(catalogue) == [model]
    encoder.dim += 1
    with pytest.raises(StorageError, match=f"vectors of {model.dim} numbers"):
        records.use_model(catalogue, encoder, "file:vectors")
