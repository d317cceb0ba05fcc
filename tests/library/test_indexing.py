"""Indexing survives kills, broken and huge files, and reports all that it met."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.library.conftest import CountingEncoder, picture

from glotclip.errors import StorageError
from glotclip.library import indexing
from glotclip.library.library import LOCK, Library
from glotclip.library.records import models, paths_of, rows_of
from glotclip.library.scenes import merge_scenes

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.packs.polyglot import Polyglot


@pytest.mark.slow
def test_a_kill_loses_nothing_and_encodes_nothing_twice(tmp_path: Path, encoder: CountingEncoder) -> None:
    from glotclip.models.checkpoints import save_base

    photos, place, count = tmp_path / "photos", tmp_path / "library", 300
    for number in range(count):
        picture(photos / f"{number}.png", number)
    save_base(encoder.polyglot.base, tmp_path / "base")
    command = [sys.executable, "-c", "from glotclip.cli.main import main; main()", "index", str(photos)]
    command += ["--library", str(place), "--model", str(tmp_path / "base"), "--batch", "2", "--json"]
    time.sleep(2.1)  # beyond the rule of the young file
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    done = 0
    while done < 20 and process.poll() is None:
        if (place / "catalogue.sqlite").exists():
            with Library(place, create=True) as library:
                done = library.catalogue.value("SELECT count(*) FROM item")
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Library(place) as library:
        before = library.catalogue.value("SELECT count(*) FROM item")
    assert 20 <= before < count
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert (report["encoded"], report["unchanged"], report["items"]) == (count - before, before, count)
    with Library(place) as library:
        view, store = library.view(library.model())
        np.testing.assert_array_equal(view.rows, store.rows())
        paths = paths_of(library.catalogue, view.items.tolist())
        fresh = encoder.polyglot.encode_image([paths[item][0] for item in view.items.tolist()]).numpy()
        np.testing.assert_allclose(store.get(view.rows), fresh, atol=2e-3)


def test_what_only_one_side_knows_is_put_right(library: Library, photos: Path, encoder: CountingEncoder) -> None:
    library.index([photos], encoder=encoder)
    model = library.model()
    with library.changing_store(model) as store:
        store.delete(store.rows()[:3])
        store.add(np.array([10_000], np.int64), np.full((1, encoder.dim), 0.25, np.float32))
    assert (
        len(library.search("a", min_probability=0, limit=50).hits) == 37
    )  # what has no vector is no hit, nor strays
    report = library.index(encoder=encoder)
    assert (report.encoded, report.unchanged, encoder.count) == (3, 37, 43)
    _, store = library.view(model)
    np.testing.assert_array_equal(store.rows(), rows_of(library.catalogue, model))


def test_files_of_every_kind(library: Library, photos: Path, encoder: CountingEncoder) -> None:
    from PIL import Image

    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    (photos / "again.jpg").write_bytes(b"\xff\xd8\xff broken")
    (photos / "cut.png").write_bytes((photos / "00.png").read_bytes()[:60])
    Image.new("1", (20_000, 10_000)).save(photos / "bomb.png")
    (photos / "film.mp4").write_bytes(b"no film")
    os.mkfifo(photos / "pipe.png")
    hostile = [b"caf\xe9.png", b"new\nline.png", b"\xe2\x80\xaeright.png", b"-rf.png", b"a'; DROP TABLE item; --.png"]
    for number, name in enumerate(hostile, start=200):
        picture(photos / os.fsdecode(name), number)
    report = library.index([photos], encoder=encoder)
    assert report.encoded == 45
    reasons = {Path(each.where).name: each.reason for each in report.skipped}
    assert set(reasons) == {"broken.jpg", "again.jpg", "cut.png", "bomb.png", "film.mp4", "pipe.png"}
    assert reasons["broken.jpg"] == reasons["again.jpg"]
    assert "megapixels" in reasons["bomb.png"]
    assert not any(str(photos) in reason for reason in reasons.values())
    found = library.search("a", min_probability=0, limit=50)
    assert {os.fsencode(hit.path.name) for hit in found.hits} >= set(hostile)
    json.dumps([hit.record() for hit in found.hits])
    (photos / "broken.jpg").write_bytes((photos / "00.png").read_bytes())  # mended: with a content that is known
    again = library.index(encoder=encoder)
    assert (again.encoded, again.copied, len(again.skipped)) == (0, 1, 5)


def test_a_file_that_becomes_unreadable_content_is_no_hit(
    library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    library.index([photos], encoder=encoder)
    (photos / "00.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    report = library.index(encoder=encoder)
    assert (report.items, report.unchanged, [Path(each.where).name for each in report.skipped]) == (
        39,
        39,
        ["00.png"],
    )


def test_a_decoder_that_fails_ends_no_run(
    library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import PngImagePlugin

    real = PngImagePlugin.PngImageFile.load_prepare

    def failing(image: PngImagePlugin.PngImageFile) -> None:
        if str(image.filename).endswith("07.png"):
            raise RuntimeError("a fault in the decoder")
        real(image)

    with monkeypatch.context() as patch:
        patch.setattr(PngImagePlugin.PngImageFile, "load_prepare", failing)
        report = library.index([photos], encoder=encoder)
    assert report.encoded == 39
    assert [each.reason for each in report.skipped] == ["unexpected RuntimeError: a fault in the decoder"]
    assert library.index(encoder=encoder).encoded == 1


def test_models_side_by_side(
    library: Library, photos: Path, encoder: CountingEncoder, make_base: MakeBase, polyglot: Polyglot
) -> None:
    library.index([photos], encoder=encoder)
    other = CountingEncoder(type(polyglot)(make_base(1)))
    report = library.index(encoder=other)
    assert (report.encoded, report.unchanged, other.count) == (40, 0, 40)
    assert [model.name for model in library.models] == ["tiny-1", "tiny-0"]
    picture(photos / "new.png", 300)
    library.index(encoder=other)
    first = library.search("a", model="tiny-0", min_probability=0)
    second = library.search("a", min_probability=0)
    assert (first.missing, second.missing, first.searched, second.searched) == (1, 0, 40, 41)
    assert first.model == "tiny-0"
    (photos / "00.png").unlink()
    library.index(encoder=encoder)  # gone from both
    for model in models(library.catalogue):
        _, store = library.view(model)
        assert len(store) == 40


def test_one_process_at_a_time(library: Library, photos: Path, encoder: CountingEncoder) -> None:
    import filelock

    with filelock.FileLock(library.path / LOCK), pytest.raises(StorageError, match="another process"):
        library.index([photos], encoder=encoder)


def test_a_full_disk_loses_nothing(
    library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([photos / "trip"], encoder=encoder)
    size = library.catalogue.value("PRAGMA page_count")
    library.catalogue.db.execute(f"PRAGMA max_page_count = {size}")  # SQLite's own way to have no space
    for number in range(400, 480):
        picture(photos / "more" / f"{'long name ' * 20}{number}.png", number)
    with pytest.raises(StorageError, match="disk is full") as caught:
        library.index([photos], encoder=encoder, batch=64)
    assert "--out" not in caught.value.hint
    library.catalogue.db.execute("PRAGMA max_page_count = 1000000")
    assert len(library.search("a", min_probability=0, limit=50).hits) == 10
    assert library.index([photos], encoder=encoder).items == 120


def test_files_of_a_live_photo_are_one(
    library: Library, photos: Path, encoder: CountingEncoder, tmp_path: Path
) -> None:
    clip(photos / "live.mov", seconds=2)
    picture(photos / "LIVE.JPG", 500, "JPEG")
    clip(photos / "long.mov", seconds=9)
    picture(photos / "long.jpg", 501, "JPEG")
    report = library.index([photos], encoder=encoder)
    assert (report.encoded, report.paired) == (43, 1)
    (photos / "moved").mkdir()
    for name in ("live.mov", "LIVE.JPG"):
        (photos / name).rename(photos / "moved" / name)
    report = library.index(encoder=encoder)
    assert (report.encoded, report.renamed, report.removed, report.paired) == (0, 2, 0, 0)
    hits = library.search(image=photos / "moved" / "LIVE.JPG", limit=1, min_probability=0).hits
    assert [path.name for path in hits[0].paths] == ["LIVE.JPG", "live.mov"]
    picture(photos / "moved" / "LIVE.JPG", 502, "JPEG")  # edited: its moving part goes with it
    report = library.index(encoder=encoder)
    assert (report.encoded, report.removed, report.items) == (1, 0, 43)
    hits = library.search(image=photos / "moved" / "LIVE.JPG", limit=1, min_probability=0).hits
    assert [path.name for path in hits[0].paths] == ["LIVE.JPG", "live.mov"]
    (photos / "moved" / "LIVE.JPG").unlink()  # then the moving part is a video of its own
    report = library.index(encoder=encoder)
    assert (report.encoded, report.items) == (1, 43)


def clip(path: Path, seconds: int, rate: int = 5) -> Path:
    """Write a video whose colour changes each second."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width = stream.height = 32
        for number in range(seconds * rate):
            colours = np.random.default_rng(number // rate).integers(0, 256, (2, 2, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(np.kron(colours, np.ones((16, 16, 1), np.uint8)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_video_is_found_at_its_second(
    library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To random weights all pictures look much the same.
    monkeypatch.setattr(indexing, "merge_scenes", partial(merge_scenes, alike=0.9999))
    clip(photos / "film.mp4", seconds=30)
    library.index([photos], encoder=encoder)
    model = library.model()
    rows = library.catalogue.rows("SELECT t FROM vec JOIN item ON item.id = item WHERE kind = 'video' ORDER BY t")
    assert 1 < len(rows) <= 30
    view, store = library.view(model)
    moments = {float(t): row for row, t in zip(view.rows, view.moments, strict=True) if not np.isnan(t)}
    assert sorted(moments) == pytest.approx([t for (t,) in rows])
    found = library.search("a", kind="video", min_probability=0)
    assert [hit.path.name for hit in found.hits] == ["film.mp4"]  # once, at its best moment
    asked = encoder.encode_texts(["a"], ["en"])[0]
    best = max(moments, key=lambda t: float(store.scores(asked, np.array([moments[t]], np.int64))[0]))
    assert found.hits[0].second == pytest.approx(best, abs=1e-3)
    assert found.hits[0].kind == "video"


@pytest.mark.slow
def test_thirty_thousand_files_of_one_name(library: Library, tmp_path: Path, encoder: CountingEncoder) -> None:
    from PIL import Image

    root = tmp_path / "many"
    for number in range(30_000):
        folder = root / f"{number // 300:03}" / f"{number:05}"
        folder.mkdir(parents=True)
        colour = (number % 251, number // 251 % 251, 7)
        Image.new("RGB", (2, 2), colour).save(folder / "IMG_0001.bmp", "BMP")
    report = library.index([root], encoder=encoder, batch=256)
    assert (report.encoded, report.items) == (30_000, 30_000)
    (root / "000").rename(root / "moved")
    report = library.index(encoder=encoder, batch=256)
    assert (report.encoded, report.renamed, report.unchanged) == (0, 300, 29_700)
    began = time.monotonic()
    page = library.search("a", limit=100, min_probability=0, fold=False)
    assert len({hit.path for hit in page.hits}) == 100
    assert time.monotonic() - began < 10


def test_reports_know_their_words() -> None:
    names = {"encoded", "unchanged", "renamed", "copied", "paired", "removed", "skipped"}
    assert names <= set(indexing.Report.__dataclass_fields__)
