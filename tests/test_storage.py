"""Nothing half-written is ever read as whole, whatever stops the writing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from glotclip import storage
from glotclip.errors import CacheWarning, DataError, StorageError


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    storage.write_text(path, "old")
    with pytest.raises(RuntimeError), storage.writing(path) as aside:
        aside.write_text("new, half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("at_once", [True, False])
def test_many_files_are_flushed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    flushed: list[str] = []
    if at_once:
        monkeypatch.setattr(os, "sync", lambda: flushed.append("all"), raising=False)
    else:
        monkeypatch.delattr(os, "sync", raising=False)
    monkeypatch.setattr(storage, "flush", lambda path: flushed.append(path.name))
    for name in ("a", "b"):
        with storage.writing(tmp_path / "in" / name, durable=False) as aside:
            aside.write_text(name, encoding="utf-8")
    assert flushed == []
    storage.flush_below(tmp_path)
    assert sorted(flushed) == (["all"] if at_once else ["a", "b"])
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "in").iterdir()} == {
        "a": "a",
        "b": "b",
    }


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), storage.writing_folder(tmp_path / "f") as aside:
        (aside / "x").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with storage.writing_folder(tmp_path / "f") as aside:
        (aside / "x").write_text("1")
        assert not (tmp_path / "f").exists()
    assert (tmp_path / "f" / "x").read_text() == "1"


@given(names=st.lists(st.sampled_from("abc"), max_size=2), shared=st.booleans(), late=st.booleans())
def test_the_first_to_finish_a_shared_folder_has_made_it(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], shared: bool, late: bool
) -> None:
    """Another process puts ``names`` into the same folder, before ours begins or while it writes."""
    folder = tmp_path_factory.mktemp("place") / "f"

    def other() -> None:
        folder.mkdir()
        for name in names:
            (folder / name).write_text("other")

    def ours() -> None:
        with storage.writing_folder(folder, shared=shared) as aside:
            (aside / "own").write_text("own")
            if late:
                other()

    if not late:
        other()
    if names and not shared:
        with pytest.raises(StorageError):
            ours()
    else:
        ours()
    assert sorted(each.name for each in folder.iterdir()) == (sorted(set(names)) or ["own"])
    assert [each.name for each in folder.parent.iterdir()] == ["f"]


FULL = """
import resource, signal, sys, torch
from pathlib import Path
from glotclip import storage
from glotclip.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
path = Path(sys.argv[1])
try:
    if sys.argv[2] == "tensors":
        storage.write_tensors(path, {"a": torch.ones(10_000)})
    else:
        storage.write_text(path, "x" * 10_000)
except StorageError as error:
    print("said:", error.message)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tensors", "text"])
def test_a_disk_without_room(tmp_path: Path, kind: str) -> None:
    """The system's own refusal, by a limit on the size of files; tensors are written by another library."""
    path = tmp_path / "a"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", FULL, str(path), kind], capture_output=True, text=True, check=False)
    assert "said: the disk is full" in done.stdout, done.stderr
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_round_trip(tmp_path: Path) -> None:
    tensor = torch.randn(4, 3).T  # not contiguous
    storage.write_tensors(tmp_path / "t", {"a": tensor}, {"k": "v"})
    assert torch.equal(load_file(tmp_path / "t")["a"], tensor)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        storage.write_text(tmp_path / "f" / "x", "1")


@pytest.mark.parametrize("content", ["{", "\udcff"])
def test_reading_says_what_is_wrong(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match="not valid JSON"):
        storage.read_json(tmp_path / "x.json")
    with pytest.raises(DataError, match="does not exist"):
        storage.read_json(tmp_path / "absent.json")
    with pytest.raises(DataError, match="cannot be read"):
        storage.read_json(tmp_path)


@given(st.text(st.characters()), st.binary(max_size=12))
def test_any_name_can_be_printed_and_written_as_json(text: str, raw: bytes) -> None:
    name = text + os.fsdecode(raw)
    shown = storage.printable(name)
    shown.encode()  # UTF-8
    loaded = json.loads(storage.to_json({"a": [name]}, indent=1).encode().decode())
    assert loaded == {"a": [shown]}
    if not any("\ud800" <= sign <= "\udfff" for sign in name):
        assert shown == name
    assert "\n" not in storage.shown(name) and "\x1b" not in storage.shown(name)


def test_names_keep_what_can_be_kept() -> None:
    assert storage.printable(os.fsdecode(b"caf\xe9 \xc3\x28")) == "caf\\xe9 \\xc3("
    assert storage.printable("gr\udcc3\udcbcn") == "grün"  # as an ASCII locale gives it
    assert storage.printable("\ud800") == "\\ud800"


def test_without_a_home_the_cache_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", "~nobody-of-this-name/cache")
    assert storage.cache_root() == Path(os.devnull, "glotclip")
    monkeypatch.setattr(storage, "_REFUSED", set())
    with pytest.warns(CacheWarning):
        place = storage.cache_folder("pictures")
    (place / "a").write_text("x")  # a folder that goes away with the process
    assert not str(place).startswith("/dev")


def test_a_cache_folder_is_made_where_it_can_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path / "cache"))
    assert storage.cache_folder("a", "b") == tmp_path / "cache" / "a" / "b"
    assert list((tmp_path / "cache" / "a" / "b").iterdir()) == []
