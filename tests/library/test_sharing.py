"""Processes that share the encoding give the library that one would have made, after a kill too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import make_tiny_base
from tests.library.conftest import CountingEncoder, picture

from glotclip.data import digests
from glotclip.library import sharing
from glotclip.library.indexing import Report
from glotclip.library.library import Library
from glotclip.library.records import paths_of
from glotclip.library.sharing import Share
from glotclip.packs.polyglot import Polyglot


def contents(library: Library) -> dict[tuple[bytes, str], tuple[object, ...]]:
    """What a library knows of each file, by content and path."""
    view, store = library.view(library.model())
    vectors = dict(zip(view.items.tolist(), store.get(view.rows), strict=True))
    return {
        (digest, str(path)): (kind, width, dhash, taken, vectors[item].round(3).tobytes())
        for item, digest, kind, width, dhash, taken in library.catalogue.rows(
            "SELECT id, digest, kind, w, dhash, taken FROM item"
        )
        for path in paths_of(library.catalogue, [item])[item]
    }


def shared(library: Library, photos: Path, encoder: CountingEncoder, world: int) -> Report:
    """Index with threads in place of processes, each with the library opened for itself."""
    barrier = threading.Barrier(world)
    reports: dict[int, Report] = {}

    def wait() -> None:
        barrier.wait(60)

    def run(rank: int) -> None:
        try:
            with Library(library.path, create=True) as own:
                share = Share(rank, world, wait)
                reports[rank] = sharing.index(share, own, [photos], encoder=encoder, batch=4, threads=1)
        except BaseException:
            barrier.abort()
            raise

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return reports[0]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_same_library_as_one_process_makes(
    library: Library, photos: Path, encoder: CountingEncoder, tmp_path: Path, world: int
) -> None:
    shutil.copy(photos / "03.png", photos / "copy.png")
    picture(photos / "broken.png", 1).write_bytes(b"\x89PNG\r\n\x1a\nno")
    with Library(tmp_path / "one", create=True) as one:
        alone = one.index([photos], encoder=encoder)
        expected = contents(one)
    encoder.count = 0
    report = shared(library, photos, encoder, world)
    assert contents(library) == expected
    assert (report.encoded, report.items, report.unchanged) == (40, 40, 0)
    assert [each.reason for each in report.skipped] == [each.reason for each in alone.skipped]
    assert 40 <= encoder.count <= 40 + (world > 1)  # the copy may fall to another process
    assert not list((library.path / sharing.PARTS).glob("*/"))
    (photos / "00.png").rename(photos / "moved.png")
    picture(photos / "new.png", 99)
    before = encoder.count
    report = shared(library, photos, encoder, world)
    assert (report.encoded, report.renamed, report.unchanged, encoder.count) == (1, 1, 40, before + 1)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(done=st.sets(st.integers(0, 39)), lost=st.booleans(), again=st.booleans())
def test_what_a_killed_run_left_is_taken_over(
    photos: Path, encoder: CountingEncoder, tmp_path: Path, done: set[int], lost: bool, again: bool
) -> None:
    place = tmp_path / f"library{len(list(tmp_path.iterdir()))}"
    with Library(place, create=True) as library:
        library.prepare([photos], encoder, None)
        names = {f"{number:02}.png" for number in done}
        share = Share(0, 1, lambda: None)
        whole = sharing.Share.has
        try:
            sharing.Share.has = lambda self, path: path.name in names  # type: ignore[method-assign]
            sharing._encode(library, share, [photos], encoder, ())
        finally:
            sharing.Share.has = whole  # type: ignore[method-assign]
        if lost and done:  # the vectors of a part that was cut off are fewer than its catalogue says
            with Library(place / sharing.PARTS / "0") as part, part.changing_store(part.model()) as store:
                store.delete(store.rows()[:1])
        encoder.count = 0
        report = shared(library, photos, encoder, 2) if again else library.index([photos], encoder=encoder)
        missing = int(lost and bool(done))
        new = 40 - len(done) + missing
        assert (report.encoded, report.unchanged, report.items, encoder.count) == (new, 40 - new, 40, new)
        view, store = library.view(library.model())
        assert len(view.rows) == 40
        np.testing.assert_array_equal(view.rows, store.rows())


@pytest.fixture(scope="module")
def other() -> CountingEncoder:
    """A second model."""
    return CountingEncoder(Polyglot(make_tiny_base(1)))


NAMES = ("a.png", "b.jpg", "2021-07-04.png", "trip/a.png", "trip/z.png")
names = st.sampled_from(NAMES)
CHANGES = st.one_of(
    st.tuples(st.just("write"), names, st.integers(0, 5)),
    st.tuples(st.just("move"), names, names),
    st.tuples(st.just("copy"), names, names),
    st.tuples(st.just("remove"), names),
    st.tuples(st.just("index"), st.integers(0, 1)),
)


def change(root: Path, kind: str, name: str, other: object = "") -> None:
    """Do to a folder what a person may do."""
    path = root / name
    path.parent.mkdir(exist_ok=True, parents=True)
    if kind == "write" and other == 5:
        path.write_bytes(b"\x89PNG\r\n\x1a\nno")
    elif kind == "write":
        picture(path, int(str(other)))
    elif path.is_file() and kind == "remove":
        path.unlink()
    elif path.is_file() and path.name != other:
        target = root / str(other)
        target.parent.mkdir(exist_ok=True)
        path.rename(target) if kind == "move" else target.write_bytes(path.read_bytes())


def told(report: Report) -> tuple[object, ...]:
    """A report but for its seconds."""
    skipped = sorted((Path(each.where).name, each.reason) for each in report.skipped)
    return replace(report, skipped=[], seconds=0), skipped


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=st.lists(CHANGES, max_size=14), world=st.integers(2, 3), settled=st.booleans())
def test_any_history_ends_as_with_one_process(
    encoder: CountingEncoder, other: CountingEncoder, tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[str, Any]], world: int, settled: bool,
) -> None:  # fmt: skip
    """Files new, changed, moved, copied, gone, just now or long ago; and a second model."""
    place = tmp_path_factory.mktemp("history")
    photos = place / "photos"
    photos.mkdir()
    encoders = (encoder, other)
    age = mock.patch.object(digests, "SETTLED", -(10**15) if settled else digests.SETTLED)
    with age, Library(place / "one", create=True) as one, Library(place / "shared", create=True) as many:
        for kind, *about in [*history, ("index", 0)]:
            if kind != "index":
                change(photos, kind, *about)
                continue
            chosen = encoders[about[0]]
            alone = one.index([photos], encoder=chosen, threads=1)
            assert told(shared(many, photos, chosen, world)) == told(alone)
            if len(one):
                assert contents(many) == contents(one)
            assert not list((many.path / sharing.PARTS).glob("*/"))


@pytest.mark.slow
def test_two_processes_of_torchrun(photos: Path, encoder: CountingEncoder, tmp_path: Path) -> None:
    from glotclip.models.checkpoints import save_base

    save_base(encoder.polyglot.base, tmp_path / "base")
    (tmp_path / "run.py").write_text("from glotclip.cli.main import main\nmain()\n", encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "run.py"]
    command += ["index", str(photos), "--library", "shared", "--model", "base", "--precision", "fp32", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert (report["encoded"], report["items"], report["unchanged"]) == (40, 40, 0)
    with Library(tmp_path / "one", create=True) as one, Library(tmp_path / "shared") as both:
        one.index([photos], encoder=encoder)
        assert contents(both) == contents(one)
