from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import strategies as st
from PIL import Image

from glotclip.data.features import FeatureCache
from glotclip.data.video import Sampling
from glotclip.errors import CacheWarning, DataError, ImageError, StorageError

if TYPE_CHECKING:
    from tests.conftest import Film

Floats = npt.NDArray[np.float32]
WIDTH = 4


def feature(text: str) -> Floats:
    """What the model of these tests computes for one text: something of its own for each."""
    return np.frombuffer(hashlib.sha256(text.encode()).digest()[: 2 * WIDTH], np.uint16).astype(np.float32)


class Encoder:
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def texts(self, texts: list[str]) -> Floats:
        self.asked += texts
        return np.stack([feature(text) for text in texts])


def _load(path: Path) -> Floats:
    content = path.read_text()
    if content == "damaged":
        raise ImageError(f"{path} is not an image", hint="look at it")
    return np.full((3, 2, 2), float(content), np.float32)


def _encode(pixels: Floats) -> Floats:
    assert pixels.dtype == np.float32 and pixels.shape[1:] == (3, 2, 2)
    return pixels.reshape(len(pixels), -1)[:, :WIDTH]


def _tree(cache: FeatureCache, kind: str = "texts") -> tuple[Path, Path]:
    return cache.folder / kind / "features.bin", cache.folder / kind / "keys.bin"


def test_each_text_is_encoded_once(tmp_path: Path) -> None:
    encoder = Encoder()
    texts = ["dog", "cat", "dog", "ein Hund", "犬", ""]
    first = FeatureCache("sha256:1", tmp_path).texts(texts, encoder.texts, chunk=2)
    assert encoder.asked == ["dog", "cat", "ein Hund", "犬", ""]
    assert first.rows.dtype == np.int64 and first.array.dtype == np.float32
    np.testing.assert_array_equal(first.take(), np.stack([feature(text) for text in texts]))
    again = FeatureCache("sha256:1", tmp_path).texts(["犬", "bird"], encoder.texts)
    assert encoder.asked[5:] == ["bird"]
    np.testing.assert_array_equal(again.take(), np.stack([feature("犬"), feature("bird")]))
    assert isinstance(again.array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        again.array[0] = 0


def test_models_do_not_share(tmp_path: Path) -> None:
    encoder = Encoder()
    for name in ("sha256:1", "sha256:2"):
        FeatureCache(name, tmp_path).texts(["dog"], encoder.texts)
    assert encoder.asked == ["dog", "dog"]


def test_nothing_asked_gives_nothing(tmp_path: Path) -> None:
    found = FeatureCache("f", tmp_path).texts([], Encoder().texts)
    assert found.rows.shape == (0,) and len(found.array) == 0
    assert not (tmp_path / "f").exists()


def test_images_that_cannot_be_read_do_not_stop_the_rest(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(7)]
    for number, path in enumerate(paths):
        path.write_text("damaged" if number == 2 else str(number))
    paths.insert(4, tmp_path / "none.jpg")
    paths.append(paths[2])
    seen: list[tuple[int, int]] = []
    cache = FeatureCache("f", tmp_path / "cache")
    found = cache.images(paths, _load, _encode, chunk=2, progress=lambda done, total: seen.append((done, total)))
    assert (found.rows < 0).tolist() == [False, False, True, False, True, False, False, False, True]
    assert [float(found.array[row][0]) for row in found.rows if row >= 0] == [0, 1, 3, 4, 5, 6]
    assert [(Path(item.where).name, item.line) for item in found.skipped] == [("2.jpg", None), ("none.jpg", None)]
    assert "is not an image" in found.skipped[0].reason
    assert seen == [(2, 7), (4, 7), (6, 7), (7, 7)]
    with pytest.raises(DataError, match="3 inputs have no features"):
        found.take()


def test_impossible_paths_are_listed(tmp_path: Path) -> None:
    circle = tmp_path / "circle.jpg"
    circle.symlink_to(circle)
    paths = [circle, Path("a\0b.jpg"), tmp_path]
    found = FeatureCache("f", tmp_path / "cache").images(paths, _load, _encode)
    assert found.rows.tolist() == [-1, -1, -1]
    assert [item.where for item in found.skipped] == [str(path) for path in paths]


def test_a_changed_image_is_encoded_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_text("1")
    os.utime(path, ns=(1, 1))
    cache = FeatureCache("f", tmp_path / "cache")
    assert cache.images([path], _load, _encode).take()[0, 0] == 1
    path.write_text("2")  # the same size; only the time differs
    os.utime(path, ns=(2, 2))
    assert cache.images([path], _load, _encode).take()[0, 0] == 2
    link = tmp_path / "link.jpg"
    link.symlink_to(path)

    def never(pixels: Floats) -> Floats:
        raise AssertionError("known already")

    assert cache.images([link], _load, never).take()[0, 0] == 2


@pytest.mark.parametrize("torn_features", [0, 1, 15, 16, 17, 100])
@pytest.mark.parametrize("torn_keys", [0, 1, 31])
def test_torn_ends_are_cut_off(tmp_path: Path, torn_features: int, torn_keys: int) -> None:
    FeatureCache("f", tmp_path).texts(["a", "b"], Encoder().texts)
    for path, torn in zip(_tree(FeatureCache("f", tmp_path)), (torn_features, torn_keys), strict=True):
        with path.open("ab") as stream:
            stream.write(b"\xff" * torn)
    encoder = Encoder()
    found = FeatureCache("f", tmp_path).texts(["a", "b", "c"], encoder.texts)
    assert encoder.asked == ["c"]
    np.testing.assert_array_equal(found.take(), np.stack([feature(text) for text in "abc"]))
    assert [path.stat().st_size for path in _tree(FeatureCache("f", tmp_path))] == [3 * 4 * WIDTH, 3 * 32]


def test_a_row_counts_only_when_both_files_hold_it(tmp_path: Path) -> None:
    FeatureCache("f", tmp_path).texts(["a", "b"], Encoder().texts)
    features, keys = _tree(FeatureCache("f", tmp_path))
    os.truncate(features, 4 * WIDTH + 3)
    encoder = Encoder()
    found = FeatureCache("f", tmp_path).texts(["a", "b"], encoder.texts)
    assert encoder.asked == ["b"]
    np.testing.assert_array_equal(found.take(), np.stack([feature("a"), feature("b")]))
    assert keys.stat().st_size == 64


def test_what_another_process_wrote_is_taken_up(tmp_path: Path) -> None:
    other = Encoder()

    class Meanwhile(Encoder):
        def texts(self, texts: list[str]) -> Floats:
            if not self.asked:  # while the first chunk is encoded, someone else encodes everything
                FeatureCache("f", tmp_path).texts(["a", "b", "c", "d"], other.texts)
            return super().texts(texts)

    mine = Meanwhile()
    found = FeatureCache("f", tmp_path).texts(["a", "b", "c", "d"], mine.texts, chunk=2)
    assert mine.asked == ["a", "b"]
    assert len(found.array) == 4
    np.testing.assert_array_equal(found.take(), np.stack([feature(text) for text in "abcd"]))


def test_faulty_encoders_leave_no_trace(tmp_path: Path) -> None:
    cache = FeatureCache("f", tmp_path)
    with pytest.raises(DataError, match="not finite"):
        cache.texts(["a"], lambda texts: np.full((1, WIDTH), np.nan, np.float32))
    with pytest.raises(ValueError, match="for 1 inputs"):
        cache.texts(["a"], lambda texts: np.zeros((2, WIDTH), np.float32))
    np.testing.assert_array_equal(cache.texts(["a"], Encoder().texts).take()[0], feature("a"))
    with pytest.raises(StorageError, match="width 4"):
        cache.texts(["b"], lambda texts: np.zeros((1, WIDTH + 1), np.float32))


def test_a_full_disk_is_said_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FeatureCache("f", tmp_path)
    cache.texts(["a"], Encoder().texts)
    real = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(CacheWarning, match="cannot be written .No space left on device.*used, not kept"):
        found = cache.texts(["a", "b"], Encoder().texts)
    np.testing.assert_array_equal(found.take(), np.stack([feature("a"), feature("b")]))
    monkeypatch.setattr(os, "fsync", real)
    encoder = Encoder()
    np.testing.assert_array_equal(cache.texts(["a", "b"], encoder.texts).take()[1], feature("b"))
    assert encoder.asked == ["b"]


def test_a_cache_of_another_format_is_refused(tmp_path: Path) -> None:
    cache = FeatureCache("f", tmp_path)
    cache.texts(["a"], Encoder().texts)
    (cache.folder / "texts" / "store.json").write_text('{"format": 2, "width": 4}')
    with pytest.raises(StorageError, match="not of a format"):
        cache.texts(["a"], Encoder().texts)


_WORKER = f"""
import hashlib, sys
from pathlib import Path
import numpy as np
from glotclip.data.features import FeatureCache

def encode(texts):
    rows = [hashlib.sha256(text.encode()).digest()[:{2 * WIDTH}] for text in texts]
    return np.frombuffer(b"".join(rows), np.uint16).astype(np.float32).reshape(len(texts), {WIDTH})

texts = [f"text {{number}}" for number in range({{count}})]
if sys.argv[2] == "backwards":
    texts.reverse()
print("ready", flush=True)
FeatureCache("f", Path(sys.argv[1])).texts(texts, encode, chunk=3)
"""
_COUNT = 600
_SOURCE = _WORKER.replace("{count}", str(_COUNT))


def _start(root: Path, order: str = "forwards") -> subprocess.Popen[bytes]:
    worker = subprocess.Popen([sys.executable, "-c", _SOURCE, str(root), order], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    return worker


def _check_whole(root: Path, encoder: Encoder) -> int:
    texts = [f"text {number}" for number in range(_COUNT)]
    found = FeatureCache("f", root).texts(texts, encoder.texts)
    np.testing.assert_array_equal(found.take(), np.stack([feature(text) for text in texts]))
    return len(found.array)


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes(tmp_path: Path) -> None:
    interrupted = 0
    sizes = [0]
    for delay in (0.001, 0.013, 0.029, 0.047, 0.071):
        worker = _start(tmp_path)
        time.sleep(delay)
        worker.send_signal(signal.SIGKILL)
        interrupted += worker.wait() == -signal.SIGKILL
        assert worker.stdout is not None
        worker.stdout.close()
        keys = tmp_path / "f" / "texts" / "keys.bin"
        sizes.append(keys.stat().st_size // 32 if keys.exists() else 0)
        assert sizes[-1] >= sizes[-2]  # what was written stays written
    assert interrupted > 0
    encoder = Encoder()
    assert _check_whole(tmp_path, encoder) == _COUNT
    assert len(encoder.asked) == _COUNT - sizes[-1]


@pytest.mark.slow
def test_two_processes_fill_one_cache(tmp_path: Path) -> None:
    workers = [_start(tmp_path, order) for order in ("forwards", "backwards")]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.close()
    encoder = Encoder()
    assert _check_whole(tmp_path, encoder) == _COUNT  # and no row twice
    assert encoder.asked == []


def _frame(image: Image.Image) -> Floats:
    """A frame of these films as pixels: all that differs is the shade."""
    assert image.size == (64, 64)
    pixels = np.zeros((3, 2, 2), np.float32)
    pixels[0], pixels[1] = np.asarray(image.convert("L"))[0, 0] / 255, 0.5
    return pixels


def _cut(path: Path) -> None:
    """Leave the first 60 % of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def test_a_video_is_one_row_and_its_oddities_are_remembered(tmp_path: Path, film: Film) -> None:
    paths = [film(tmp_path / f"{number}.mkv", range(number, 240, 5)) for number in range(3)]
    _cut(paths[1])
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    asked = [paths[0], broken, paths[1], tmp_path / "none.mp4", paths[2], paths[0]]
    batches: list[int] = []

    def encode(pixels: Floats) -> Floats:
        batches.append(len(pixels))
        return _encode(pixels)

    cache = FeatureCache("f", tmp_path / "cache")
    seen: list[tuple[int, int]] = []
    found = cache.videos(asked, _frame, encode, chunk=2, progress=lambda *step: seen.append(step))
    assert (found.rows < 0).tolist() == [False, True, False, True, False, False]
    assert [(Path(item.where).name, item.reason.split(" (")[0]) for item in found.skipped] == [
        ("broken.mp4", "is not a video that can be read"),
        ("none.mp4", "the video cannot be opened"),
    ]
    assert [Path(item.where).name for item in found.warnings] == ["1.mkv"]
    assert found.warnings[0].reason.startswith("its header says 4.0 s, its frames last ")
    assert seen == [(2, 4), (4, 4)] and max(batches) <= 24
    np.testing.assert_allclose(np.linalg.norm(found.array, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found.array[found.rows[0]], [0.5, 0.5, 0.5, 0.5], atol=1e-6)  # grey is one direction

    def never(pixels: Floats) -> Floats:
        raise AssertionError("known already")

    again = FeatureCache("f", tmp_path / "cache").videos([paths[1], paths[0]], _frame, never)
    np.testing.assert_array_equal(again.array[again.rows], found.array[found.rows[[2, 0]]])
    assert again.warnings == found.warnings


def test_another_sampling_is_another_feature(tmp_path: Path, film: Film) -> None:
    path = film(tmp_path / "a.mp4", [0] * 12 + [200] * 12)
    cache = FeatureCache("f", tmp_path / "cache")
    first, second = (
        cache.videos([path], _frame, lambda pixels: pixels[:, :, 0, 0] + 0.1, sampling=sampling).take()[0]
        for sampling in (Sampling(2), Sampling(1, "fps"))
    )
    assert first[0] > second[0] + 0.2  # a light and a dark frame, and a dark one alone


def test_half_a_note_harms_nothing(tmp_path: Path, film: Film) -> None:
    paths = [film(tmp_path / f"{number}.mkv", range(number, 240, 5)) for number in range(2)]
    for path in paths:
        _cut(path)
    cache = FeatureCache("f", tmp_path / "cache")
    cache.videos(paths[:1], _frame, _encode)
    with (cache.folder / "videos-by-content" / "notes.jsonl").open("a") as notes:
        notes.write('{"key": "00')
    found = cache.videos(paths, _frame, _encode)
    assert [Path(item.where).name for item in found.warnings] == ["0.mkv", "1.mkv"]


class Counted:
    """Encodes pixels, and remembers how many it was given."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def __call__(self, pixels: Floats) -> Floats:
        self.seen += [float(each[0, 0, 0]) for each in pixels]
        return _encode(pixels)


def test_what_was_moved_renamed_copied_or_linked_is_not_encoded_again(tmp_path: Path) -> None:
    folder, encode = tmp_path / "album", Counted()
    (folder / "in").mkdir(parents=True)
    paths = [folder / "in" / f"{number}.jpg" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_text(str(number))
    cache = FeatureCache("f", tmp_path / "cache")
    first = cache.images(paths, _load, encode).take()
    shutil.copytree(folder, tmp_path / "copy")
    folder.rename(tmp_path / "moved")
    moved = [tmp_path / "moved" / "in" / path.name for path in paths]
    moved[2] = moved[2].rename(moved[2].with_name("renamed.png"))
    hard = tmp_path / "hard.jpg"
    hard.hardlink_to(moved[0])
    again = cache.images([*moved, *(tmp_path / "copy" / "in" / path.name for path in paths), hard], _load, encode)
    np.testing.assert_array_equal(again.take(), np.concatenate([first, first, first[:1]]))
    assert encode.seen == [0, 1, 2]
    assert len(again.array) == 3


def test_equal_images_are_read_and_encoded_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_text("damaged" if number % 4 == 3 else str(number % 4))
    read: list[Path] = []

    def load(path: Path) -> Floats:
        read.append(path)
        return _load(path)

    encode = Counted()
    found = FeatureCache("f", tmp_path / "cache").images(paths, load, encode, chunk=7, workers=4)
    assert sorted(encode.seen) == [0, 1, 2] and len(read) == 4
    assert [int(row) >= 0 for row in found.rows] == [number % 4 != 3 for number in range(40)]
    assert [item.where for item in found.skipped] == [str(path) for path in paths[3::4]]
    assert all("is not an image" in item.reason for item in found.skipped)


def test_an_equal_image_answers_where_the_first_vanished(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for path in paths:
        path.write_text("7")

    def load(path: Path) -> Floats:
        if path == paths[0]:
            path.unlink()
        return _load(path)

    found = FeatureCache("f", tmp_path / "cache").images(paths, load, _encode, workers=1)
    assert found.rows.tolist() == [-1, 0]
    assert found.array[0, 0] == 7
    assert [item.where for item in found.skipped] == [str(paths[0])]


@pytest.mark.slow
@hypothesis.settings(max_examples=40, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["write", "keep times", "replace", "copy", "move", "link"]),
            *[st.integers(0, 3)] * 2,
        ),
        max_size=10,
    )
)
def test_features_are_those_of_the_content_whatever_was_done(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    """Any order of changes, at any speed: no feature is stale, none is computed twice."""
    root = tmp_path_factory.mktemp("changes")
    paths = [root / f"{number}.jpg" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_text(str(number))
    encode, cache = Counted(), FeatureCache("f", root / "cache")
    for count, (what, one, other) in enumerate(steps):
        path, second = paths[one], paths[other]
        times = path.stat()
        if what in ("write", "keep times"):
            path.write_text(str(count % 10))
        if what == "keep times":
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        elif what == "copy" and not path.samefile(second):
            shutil.copy2(second, path)
        elif what in ("replace", "link") and not path.samefile(second):
            aside = root / "aside"
            (shutil.copy2 if what == "replace" else os.link)(second, aside)
            aside.replace(path)
        elif what == "move" and one != other:
            middle = root / "middle"
            path.rename(middle)
            second.rename(path)
            middle.rename(second)
        assert [row[0] for row in cache.images(paths, _load, encode).take()] == [float(p.read_text()) for p in paths]
    assert len(encode.seen) == len(set(encode.seen))


def _refuse(root: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that cannot be written, for one of the reasons that systems have."""
    if way == "a file in its place":
        (root / "cache").write_text("x")
        return root / "cache"
    if way == "below a file":
        (root / "file").write_text("x")
        return root / "file" / "cache"
    if way == "no such file system":
        return Path("/proc/cache")
    if way == "locked":
        monkeypatch.setattr("glotclip.data.feature_store._LOCK_SECONDS", 0.05)
        for kind in ("texts", "images-by-content"):
            place = root / "cache" / "f" / kind
            place.mkdir(parents=True)
            lock = filelock.FileLock(place / "lock")
            lock.acquire()
            HELD.append(lock)
        return root / "cache"
    monkeypatch.setattr(filelock.FileLock, "acquire", _no_locks)
    return root / "cache"


HELD: list[filelock.BaseFileLock] = []


def _no_locks(self: object, *arguments: object, **more: object) -> None:
    raise NotImplementedError("this file system has no locks")


@pytest.mark.parametrize(
    "way", ["a file in its place", "below a file", "no such file system", "locked", "no locks there"]
)
def test_without_a_cache_everything_is_computed_in_memory_and_that_is_said_once(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, encoder = tmp_path / "a.jpg", Encoder()
    path.write_text("4")
    cache = FeatureCache("f", _refuse(tmp_path, way, monkeypatch))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        texts = cache.texts(["dog", "cat", "dog"], encoder.texts, chunk=1)
        images = cache.images([path, tmp_path / "none", path], _load, _encode)
    np.testing.assert_array_equal(texts.take(), np.stack([feature(text) for text in ("dog", "cat", "dog")]))
    assert encoder.asked == ["dog", "cat"]
    assert images.rows.tolist() == [0, -1, 0] and images.array[0, 0] == 4
    assert [warning.category for warning in said] == [CacheWarning]
    assert "GLOTCLIP_CACHE" in str(said[0].message)
    for lock in HELD:
        lock.release()
    HELD.clear()


def test_what_is_in_a_cache_that_fills_up_is_still_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, encoder = FeatureCache("f", tmp_path), Encoder()
    cache.texts(["a", "b"], encoder.texts)
    monkeypatch.setattr(filelock.FileLock, "acquire", _no_locks)
    with pytest.warns(CacheWarning):
        found = cache.texts(["c", "b", "d", "a"], encoder.texts)
    assert encoder.asked == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(found.take(), np.stack([feature(text) for text in "cbda"]))
