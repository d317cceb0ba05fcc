import io
import tarfile
from pathlib import Path

import pytest

from glotclip.data import emoji_images, fetch
from glotclip.errors import DataError
from glotclip.storage import cache_root


def _archive(path: Path, files: dict[str, bytes], *, link: str | None = None) -> Path:
    with tarfile.open(path, "w:gz") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo("package/link")
            member.type, member.linkname = tarfile.SYMTYPE, link
            packed.addfile(member)
    return path


def test_unpacking_is_whole_and_stays_inside(tmp_path: Path) -> None:
    files = {"package/img/google/64/1f600.png": b"x", "package/package.json": b"{}"}
    target = tmp_path / "data" / "emoji-datasource-google"
    fetch.unpack(_archive(tmp_path / "good.tgz", files, link="/etc/passwd"), target)
    assert (target / "img/google/64/1f600.png").read_bytes() == b"x"
    assert not (target / "link").exists()
    for name in ("package/../../escaped", "package/a/../../../escaped"):
        with pytest.raises(DataError, match="cannot be unpacked"):
            fetch.unpack(_archive(tmp_path / "bad.tgz", {"package/a": b"a", name: b"x"}), tmp_path / "data" / "bad")
    whole = (tmp_path / "good.tgz").read_bytes()
    (tmp_path / "torn.tgz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be unpacked"):
        fetch.unpack(tmp_path / "torn.tgz", tmp_path / "data" / "torn")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["emoji-datasource-google"]
    assert not list(tmp_path.rglob("escaped"))


def _npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program called npm first in the path: the real one would need a network."""
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_getting_puts_data_where_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _archive(tmp_path / "any.tgz", {"package/img/google/64/1f600.png": b"x"})
    _npm(tmp_path, f'echo "$2" >> {tmp_path}/asked; cp {archive} "$6"', monkeypatch)
    place = fetch.get("emoji-google")
    assert place == cache_root() / "data"
    assert emoji_images.vendor_folder("google") == place / "emoji-datasource-google/img/google/64"
    fetch.get("emoji-google")  # is there already
    assert (tmp_path / "asked").read_text().split() == ["emoji-datasource-google"]


def test_getting_says_what_went_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _npm(tmp_path, "echo 'no network here' >&2; exit 1", monkeypatch)
    with pytest.raises(DataError, match="no network here") as caught:
        fetch.get("emoji-google")
    assert "by hand" in caught.value.hint
    assert not (cache_root() / "data" / "emoji-datasource-google").exists()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(DataError, match="needs the npm client"):
        fetch.get("emoji-google")
    with pytest.raises(DataError, match="not fetched by glotclip") as caught:
        fetch.get("multi30k")
    assert "github.com/multi30k/dataset" in caught.value.hint
