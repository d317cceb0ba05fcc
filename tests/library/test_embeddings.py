"""Vectors out and in again in clip-retrieval's layout: the same library, nothing encoded; and what does not fit."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.library.conftest import CountingEncoder, picture

from glotclip.errors import DataError, StorageError
from glotclip.library import embeddings
from glotclip.library.embeddings import NO_VECTOR, NOT_THERE, TRIED
from glotclip.library.library import Library

pq: Any = pytest.importorskip("pyarrow.parquet")
pa: Any = pytest.importorskip("pyarrow")


@pytest.fixture
def written(library: Library, photos: Path, encoder: CountingEncoder, tmp_path: Path) -> Path:
    """The vectors of forty pictures in three pairs of files."""
    library.index([photos], encoder=encoder)
    assert embeddings.export(library, tmp_path / "out", rows_a_file=15) == 40
    encoder.count = 0
    return tmp_path / "out"


def test_out_and_in_again(library: Library, written: Path, encoder: CountingEncoder, tmp_path: Path) -> None:
    assert sorted(each.name for each in (written / "img_emb").iterdir()) == [f"img_emb_{n}.npy" for n in range(3)]
    matrix, table = (
        np.load(written / "img_emb" / "img_emb_2.npy"),
        pq.read_table(written / "metadata" / "metadata_2.parquet"),
    )
    assert matrix.dtype == np.float16 and matrix.shape == (10, encoder.dim) and table.num_rows == 10
    with Library(tmp_path / "other", create=True) as other:
        report = embeddings.take(other, written, encoder)
        assert (report.encoded, report.items, report.skipped) == (40, 40, [])
        assert encoder.count <= TRIED
        for query in (3, 17):
            found = [
                each.search(
                    image=next((tmp_path / "photos").rglob(f"{query:02}.png")), min_probability=0, fold=False
                ).hits
                for each in (library, other)
            ]
            assert [hit.path for hit in found[0]] == [hit.path for hit in found[1]]
            one, two = ([hit.score for hit in hits] for hits in found)
            np.testing.assert_allclose(one, two, atol=2e-3)
        again = embeddings.take(other, written, encoder)
        assert (again.encoded, again.unchanged) == (0, 40)
        count = encoder.count
        later = other.index(encoder=encoder)
        assert (later.encoded, later.unchanged, encoder.count) == (0, 40, count)


def test_a_second_models_vectors_for_files_that_are_known(
    library: Library, photos: Path, encoder: CountingEncoder, tmp_path: Path
) -> None:
    other = CountingEncoder(encoder.polyglot)
    other.fingerprint, other.source = "another", "another"
    library.index([photos], encoder=other)
    with Library(tmp_path / "one", create=True) as one:
        one.index([photos], encoder=encoder)
        embeddings.export(one, tmp_path / "out")
    time.sleep(2.1)  # beyond the time in which a file may still be written
    library.index(encoder=other)
    encoder.count = 0
    report = embeddings.take(library, tmp_path / "out", encoder)
    assert (report.encoded, report.unchanged, encoder.count <= TRIED) == (40, 0, True)
    assert len(library.view(library.model(encoder.fingerprint))[0].rows) == 40


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_a_vector_that_is_none_is_left_to_the_next_index(
    written: Path, encoder: CountingEncoder, tmp_path: Path, value: float
) -> None:
    path = written / "img_emb" / "img_emb_1.npy"
    matrix = np.load(path)
    matrix[4] = value
    np.save(path, matrix)
    with Library(tmp_path / "other", create=True) as other:
        report = embeddings.take(other, written, encoder)
        assert (report.encoded, [each.reason for each in report.skipped]) == (39, [NO_VECTOR])
        assert other.index(encoder=encoder).encoded == 1


def test_files_that_are_gone_are_named(written: Path, encoder: CountingEncoder, tmp_path: Path) -> None:
    (tmp_path / "photos" / "03.png").unlink()
    picture(tmp_path / "photos" / "new.png", 77)
    with Library(tmp_path / "other", create=True) as other:
        report = embeddings.take(other, written, encoder)
        assert (report.encoded, [each.reason for each in report.skipped]) == (39, [NOT_THERE])
        assert other.index(encoder=encoder).encoded == 1


def test_names_that_are_no_utf_8_are_written_as_far_as_they_can_be(
    library: Library, encoder: CountingEncoder, tmp_path: Path
) -> None:
    path = picture(tmp_path / "photos" / "a.png", 1)
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/\xff.png"))
    library.index([path.parent], encoder=encoder)
    assert embeddings.export(library, tmp_path / "out") == 1
    with Library(tmp_path / "other", create=True) as other, pytest.raises(DataError, match="none of the 1 files"):
        embeddings.take(other, tmp_path / "out", encoder)


def test_what_is_hidden_is_not_written(
    library: Library, photos: Path, encoder: CountingEncoder, tmp_path: Path
) -> None:
    library.index([photos], encoder=encoder)
    hit = library.search(image=photos / "05.png", min_probability=0).hits[0]
    library.hide([hit.item])
    assert embeddings.export(library, tmp_path / "out") == 39
    assert (
        str(hit.path)
        not in pq.read_table(tmp_path / "out" / "metadata" / "metadata_0.parquet").column("image_path").to_pylist()
    )
    with pytest.raises(StorageError, match="is there already"):
        embeddings.export(library, tmp_path / "out")


def test_vectors_of_another_model_are_refused(written: Path, encoder: CountingEncoder, tmp_path: Path) -> None:
    for path in (written / "img_emb").iterdir():
        matrix = np.load(path)
        np.save(path, np.random.default_rng(0).normal(size=matrix.shape).astype(np.float16))
    with Library(tmp_path / "other", create=True) as other:
        with pytest.raises(DataError, match=f"are not those of .*of {TRIED} pictures"):
            embeddings.take(other, written, encoder)
        assert other.roots == [] and len(other) == 0


def renamed(folder: Path) -> None:
    (folder / "metadata" / "metadata_2.parquet").rename(folder / "metadata" / "metadata_7.parquet")


def cut(folder: Path) -> None:
    path = folder / "img_emb" / "img_emb_1.npy"
    path.write_bytes(path.read_bytes()[:300])


def narrow(folder: Path) -> None:
    path = folder / "img_emb" / "img_emb_0.npy"
    np.save(path, np.load(path)[:, :-1])


def fewer(folder: Path) -> None:
    path = folder / "metadata" / "metadata_0.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)


def unnamed(folder: Path) -> None:
    path = folder / "metadata" / "metadata_0.parquet"
    pq.write_table(pa.table({"url": ["http://x"] * 15}), path)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "img_emb" / "img_emb_1.npy").unlink(), "without their other half: 1"),
        (renamed, "half: 2, 7"),
        (cut, "cannot be read"), (narrow, "vectors of .* numbers, and the model"), (fewer, "its metadata 14 rows"),
        (unnamed, "no column image_path; it has url"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_entered(
    written: Path, encoder: CountingEncoder, tmp_path: Path, harm: Any, said: str
) -> None:
    harm(written)
    with Library(tmp_path / "other", create=True) as other:
        with pytest.raises(DataError, match=said):
            embeddings.take(other, written, encoder)
        assert other.roots == [] and len(other) == 0
    with Library(tmp_path / "other") as other, pytest.raises(DataError, match="has 0 files of vectors"):
        embeddings.take(other, tmp_path / "photos", encoder)
