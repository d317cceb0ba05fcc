"""Shards of tar: what is a picture becomes an item, whatever else is in them is named and does no harm."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.library.conftest import CountingEncoder, picture

from glotclip.errors import DataError
from glotclip.library.library import Library
from glotclip.library.shards import bring
from glotclip.library.shards.tar import NO_FILE, OUTSIDE, TWICE


def packed(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as shard:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), 1_600_000_000
            shard.addfile(entry, io.BytesIO(content))
    return path


def pictures(folder: Path, count: int, first: int = 0) -> dict[str, bytes]:
    """Pictures with a caption each, as WebDataset has them."""
    found: dict[str, bytes] = {}
    for number in range(first, first + count):
        found[f"{number:05}.png"] = picture(folder / f"{number}.png", number).read_bytes()
        found[f"{number:05}.txt"] = b"a caption"
    return found


@pytest.mark.parametrize(
    ("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz")]
)
def test_the_pictures_of_shards_are_items_and_are_brought_once(
    library: Library, encoder: CountingEncoder, tmp_path: Path, suffix: str, mode: str
) -> None:
    one = packed(tmp_path / f"0000{suffix}", pictures(tmp_path / "a", 5), mode)
    packed(tmp_path / f"0001{suffix}", pictures(tmp_path / "a", 4, first=4), mode)
    pattern = tmp_path / f"{{0000..0001}}{suffix}"
    report = library.index([pattern], encoder=encoder)
    assert (report.encoded, report.items, encoder.count) == (8, 8, 8)
    assert [each.reason for each in report.skipped] == [
        "members that are no pictures: " + each for each in ("5 .txt", "4 .txt")
    ]
    again = library.index([pattern], encoder=encoder)
    assert (again.encoded, again.unchanged, encoder.count) == (0, 9, 8)
    assert [each.reason for each in again.skipped] == [each.reason for each in report.skipped]
    one.unlink()
    assert library.index(encoder=encoder).items == 8
    hit = library.search(image=tmp_path / "a" / "3.png", min_probability=0).hits[0]
    assert hit.path.name == "00003.png" and hit.score > 0.999


def test_what_a_shard_has_no_more_is_gone(library: Library, encoder: CountingEncoder, tmp_path: Path) -> None:
    members = pictures(tmp_path / "a", 6)
    shard = packed(tmp_path / "x.tar", members)
    library.index([shard], encoder=encoder)
    shard.unlink()
    packed(shard, dict(list(members.items())[4:]))
    report = library.index([shard], encoder=encoder)
    assert (report.encoded, report.removed, report.items, encoder.count) == (0, 2, 4, 6)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 0.999))
def test_a_shard_that_is_cut_off_gives_what_is_whole_and_says_so(tmp_path: Path, cut: float) -> None:
    whole = packed(tmp_path / "whole.tar", pictures(tmp_path / "a", 6)).read_bytes()
    used = whole.rstrip(b"\0")
    shard, home = tmp_path / f"cut{cut}.tar", tmp_path / f"home{cut}"
    shard.write_bytes(whole[: int(len(used) * cut)])
    try:
        found = bring(shard, home)
    except DataError as error:
        assert "is no tar" in error.message
        return
    assert any("cut off" in each.reason or "read up to" in each.reason for each in found.skipped)
    for path in found.folder.rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "a" / f"{int(path.stem)}.png").read_bytes()
    shard.write_bytes(whole)
    assert bring(shard, home).new == 6 - found.new
    assert len(list(found.folder.rglob("*.png"))) == 6


VERSION = st.dictionaries(
    st.sampled_from(["a.png", "a.png/b.png", "a.png/c/d.png", "e/f.png", "e/g.png", "h.png", "e.png"]),
    st.tuples(st.sampled_from([b"one", b"two", b"three", b""]), st.floats(-1e300, 1e300) | st.integers(0, 2**31)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=st.lists(VERSION, min_size=2, max_size=3))
def test_a_shard_that_changed_is_as_if_it_were_brought_for_the_first_time(
    tmp_path: Path, versions: list[dict[str, tuple[bytes, float]]]
) -> None:
    """Same sizes with other contents, folders in the place of files, times that no file can have."""
    place = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    for number, members in enumerate(versions):
        place.mkdir(exist_ok=True)
        shard = place / "x.tar"
        shard.unlink(missing_ok=True)
        with tarfile.open(shard, "w", format=tarfile.PAX_FORMAT) as out:
            for name, (content, moment) in members.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime = len(content), moment
                out.addfile(entry, io.BytesIO(content))
        if not members:
            continue
        first = bring(shard, place / f"home{number}")
        again = bring(shard, place / "home")
        assert again.skipped == first.skipped
        assert held(again.folder) == held(first.folder)


def held(folder: Path) -> dict[Path, bytes]:
    """The files of a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


NAMES = st.lists(
    st.sampled_from(["..", ".", "a", "", "b.png", "/", ".hidden", "\\", "ä", "x" * 300]), min_size=1, max_size=5
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES.map("/".join), min_size=1, max_size=6))
def test_no_name_of_a_member_leads_out(tmp_path: Path, names: list[str]) -> None:
    content = picture(tmp_path / "a.png", 1).read_bytes()
    place = tmp_path / str(abs(hash(tuple(names))))
    place.mkdir(exist_ok=True)
    shard = place / "x.tar"
    with tarfile.open(shard, "w", format=tarfile.GNU_FORMAT) as out:
        for name in names:
            entry = tarfile.TarInfo(name if name.endswith("b.png") else f"{name}_.png")
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    found = bring(shard, place / "home")
    inside = [path for path in found.folder.rglob("*") if path.is_file()]
    everything = [path for path in place.rglob("*") if path.is_file()]
    assert {*everything} == {*inside, shard, place / "home" / f"{found.folder.name}.json"}
    assert len(inside) + sum(each.reason in (OUTSIDE, TWICE) for each in found.skipped) == len(names)


def test_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    shard = tmp_path / "x.tar"
    with tarfile.open(shard, "w") as out:
        for name, kind, target in (("a.png", tarfile.SYMTYPE, "/etc/passwd"), ("b.png", tarfile.LNKTYPE, "a.png")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            out.addfile(entry)
        fifo = tarfile.TarInfo("c.png")
        fifo.type = tarfile.FIFOTYPE
        out.addfile(fifo)
    found = bring(shard, tmp_path / "home")
    assert [each.reason for each in found.skipped] == [NO_FILE] * 3
    assert not list(found.folder.iterdir())


@pytest.mark.parametrize("name", ["none.tar", "{0..3}.tar", "{3..0}.tar", "*.tar"])
def test_shards_that_are_not_there(library: Library, encoder: CountingEncoder, tmp_path: Path, name: str) -> None:
    (tmp_path / "0.tar").mkdir()
    with pytest.raises(DataError, match=r"there is no file|stands for no shards"):
        library.index([tmp_path / "in" / name], encoder=encoder)
    with pytest.raises(DataError, match="is no tar that can be read"):
        library.index([picture(tmp_path / "x.tar", 1)], encoder=encoder)
    assert library.roots == []
