from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glotclip.data import digests
from glotclip.data.digests import FILE, DigestIndex, Facts


def sha(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as old enough."""
    monkeypatch.setattr(digests, "SETTLED", -(10**18))


def test_a_young_file_is_hashed_every_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"one", b"two", b"six"):  # within one tick of the clock, and with the same size and time
        path.write_bytes(content)
        os.utime(path, ns=(5, 5))
        assert DigestIndex(tmp_path).of(path) == sha(content)
    assert not (tmp_path / FILE).exists()


def test_a_file_left_alone_is_hashed_once(tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    assert DigestIndex(tmp_path).of(path) == sha(b"one")
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("it was hashed before"))
    assert DigestIndex(tmp_path).of(path) == sha(b"one")


@pytest.mark.parametrize("way", ["in place", "replaced", "by the clock of another file", "copied over"])
def test_a_change_with_size_and_time_kept_is_seen(tmp_path: Path, settled: None, way: str) -> None:
    path, model = tmp_path / "a", tmp_path / "model"
    path.write_bytes(b"one")
    shutil.copy2(path, model)
    index = DigestIndex(tmp_path)
    assert index.of(path) == sha(b"one")
    times = path.stat()
    time.sleep(0.03)  # more than a tick of the file system's clock
    if way == "in place":  # rsync --inplace --times, exiftool -P
        with path.open("r+b") as stream:
            stream.write(b"two")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif way == "replaced":
        other = tmp_path / "other"
        other.write_bytes(b"two")
        os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
        other.replace(path)
    elif way == "copied over":  # cp -p
        other = tmp_path / "other"
        other.write_bytes(b"two")
        os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
        shutil.copy2(other, path)
    else:
        path.write_bytes(b"two")
        subprocess.run(["touch", "-r", model, path], check=True)
    assert path.stat().st_mtime_ns == times.st_mtime_ns and path.stat().st_size == times.st_size
    assert index.of(path) == DigestIndex(tmp_path).of(path) == sha(b"two")


def test_a_damaged_or_torn_index_is_not_believed(tmp_path: Path, settled: None) -> None:
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_bytes(path.name.encode())
        DigestIndex(tmp_path).of(path)
    content = bytearray((tmp_path / FILE).read_bytes())
    content[40] ^= 1  # within the first digest
    (tmp_path / FILE).write_bytes(bytes(content) + b"half a record")
    index = DigestIndex(tmp_path)
    assert index.known(Facts.of(paths[0])) is None
    assert [index.of(path) for path in paths] == [sha(b"a"), sha(b"b")]
    assert len((tmp_path / FILE).read_bytes()) == 3 * (len(content) // 2)  # the torn end was cut off, one was added
    assert DigestIndex(tmp_path).known(Facts.of(paths[0])) == sha(b"a")


@pytest.mark.parametrize("index", ["absent/deep", "file/below", "file"])
def test_no_place_for_an_index_is_no_error(tmp_path: Path, settled: None, index: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert DigestIndex(tmp_path / index).of(tmp_path / "file") == sha(b"x")


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("pipe", "circle", "absent", "."):
        with pytest.raises(OSError):
            DigestIndex(tmp_path).of(tmp_path / name)


def test_a_file_that_changes_while_it_is_hashed(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    real = hashlib.file_digest

    def change(*arguments: object) -> object:
        found = real(*arguments)  # type: ignore[arg-type]
        path.write_bytes(b"longer")
        return found

    monkeypatch.setattr(hashlib, "file_digest", change)
    with pytest.raises(OSError, match="changed while it was read"):
        DigestIndex(tmp_path).of(path)


_WORKER = """
import sys
from pathlib import Path
from glotclip.data import digests
digests.SETTLED = -(10**18)
for path in sorted(Path(sys.argv[1]).glob("*.bin")):
    digests.DigestIndex(Path(sys.argv[1])).of(path)
"""


def test_two_processes_fill_one_index(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.bin").write_bytes(bytes([number]))
    command = [sys.executable, "-c", _WORKER, str(tmp_path)]
    workers = [subprocess.Popen(command) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    index = DigestIndex(tmp_path)
    (tmp_path / FILE).unlink()
    for number in range(30):
        assert index.known(Facts.of(tmp_path / f"{number}.bin")) == sha(bytes([number]))
