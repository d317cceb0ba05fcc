"""Archives: the same bytes each time, and nothing of a hostile one is believed."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import ConfigError, PackError
from glotclip.packs import archive
from glotclip.packs.archive import Member, pack_up, stem, unpacked


@pytest.fixture
def members(tmp_path: Path) -> list[Member]:
    (tmp_path / "a").write_bytes(b"1" * 3000)
    (tmp_path / "b").write_bytes(b"")
    return [Member("m/packs/x", tmp_path / "a"), Member("m/polyglot.json", tmp_path / "b")]


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_the_same_bytes_and_back(members: list[Member], tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    pack_up(members, paths[0], as_zip=suffix == ".zip")
    os.utime(members[0].content, (1, 1))
    pack_up(members[::-1], paths[1], as_zip=suffix == ".zip")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with unpacked(paths[0]) as place:
        assert (place / "packs" / "x").read_bytes() == b"1" * 3000
        assert (place / "polyglot.json").read_bytes() == b""
    assert not place.exists()


def tar_of(path: Path, *entries: tuple[str, bytes, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as packed:
        for name, kind, data in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "../secret"
            entry.size = len(data) if kind == tarfile.REGTYPE else 0
            packed.addfile(entry, io.BytesIO(data))
    return path


def zip_of(path: Path, *entries: tuple[str, int, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, mode, data in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            packed.writestr(info, data)
    return path


LEADING_OUT = ("../x", "/x", "m/../../x", "m//x", "C:/x", "m\\..\\x", "m/x\\y")


@pytest.mark.parametrize("name", LEADING_OUT)
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    for path in (
        tar_of(tmp_path / "a.tgz", (name, tarfile.REGTYPE, b"1")),
        zip_of(tmp_path / "a.zip", (name, 0, b"1")),
    ):
        with pytest.raises(PackError, match="may lead out"), unpacked(path):
            pytest.fail("unpacked")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tgz", "a.zip"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(PackError, match="link or device"), unpacked(tar_of(tmp_path / "a.tgz", ("m/x", kind, b""))):
        pytest.fail("unpacked")
    path = zip_of(tmp_path / "a.zip", ("m/x", stat.S_IFLNK | 0o777, b"../secret"))
    with pytest.raises(PackError, match="link or device"), unpacked(path):
        pytest.fail("unpacked")


def test_bombs_and_doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_SMALL", 1000)
    for path in (
        tar_of(tmp_path / "a.tgz", ("m/x", tarfile.REGTYPE, bytes(10**6))),
        zip_of(tmp_path / "a.zip", ("m/x", 0, bytes(10**6))),
    ):
        with pytest.raises(PackError, match="grows beyond"), unpacked(path):
            pytest.fail("unpacked")
    double = tar_of(tmp_path / "b.tgz", ("m/x", tarfile.REGTYPE, b"1"), ("m/X", tarfile.REGTYPE, b"2"))
    with pytest.raises(PackError, match="twice"), unpacked(double):
        pytest.fail("unpacked")


@given(data=st.binary(max_size=200), cut=st.integers(0, 200), suffix=st.sampled_from([".zip", ".tgz"]))
def test_damage_is_a_plain_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("a") / f"a{suffix}"
    whole = zip_of(path, ("m/x", 0, data)) if suffix == ".zip" else tar_of(path, ("m/x", tarfile.REGTYPE, data))
    content = whole.read_bytes()
    path.write_bytes(content[: cut % len(content)] + data)
    try:
        with unpacked(path):
            pass
    except PackError as error:
        assert error.hint


def test_names_of_archives(tmp_path: Path) -> None:
    assert [stem(Path(name)) for name in ("a/m.tar.gz", "m.TGZ", "my.clip.zip")] == ["m", "m", "my.clip"]
    for name in ("m.rar", "m", ".zip", "m.gz"):
        with pytest.raises(ConfigError, match="not named as an archive"):
            stem(tmp_path / name)
