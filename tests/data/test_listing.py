"""All that lies in a folder is of use, or named with a reason; and whatever lies there, only our errors come."""

# ruff: noqa: PTH101, PTH102, PTH112, PTH118, PTH123, PTH208, PTH211 -- names that are no UTF-8 are bytes here, which Path does not take

from __future__ import annotations

import codecs
import hashlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from glotclip import image_formats
from glotclip.data import listing, readers
from glotclip.data.features import FeatureCache
from glotclip.data.listing import OTHER, Listing, list_folder, summary
from glotclip.errors import DataError, GlotclipError
from glotclip.models.preprocess import Preprocess
from glotclip.storage import shown

PREPROCESS = Preprocess(size=4)


def image(colour: int = 0, form: str = "PNG") -> bytes:
    import io

    stream = io.BytesIO()
    Image.new("RGB", (3, 3), (colour, 40, 200)).save(stream, form)
    return stream.getvalue()


def put(folder: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def reasons(found: Listing) -> dict[str, str]:
    return {str(each.path.relative_to(found.folder)): each.reason for each in found.passed_over}


def test_every_kind_of_file_goes_where_it_belongs(tmp_path: Path) -> None:
    png = image()
    put(
        tmp_path, a_png=png, b_JPG=png, c_AvIf=png, d_jp2=png, e_jfif=png, f_tif=png, g_ico=png,
        h_psd=png, bare=png, text=b"no image", a_txt=b"a", film_MP4=b"x", film_mkv=b"x", notes_pdf=b"x",
        vector_eps=b"x", vector_svg=b"x", empty_png=b"", empty=b"", deep__er__z_webp=png,
    )  # fmt: skip
    (tmp_path / ".hidden.png").write_bytes(png)
    (tmp_path / ".thumbnails").mkdir()
    found = list_folder(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found.images] == [
        "a.png", "b.JPG", "bare", "c.AvIf", "d.jp2", "deep/er/z.webp", "e.jfif", "f.tif", "g.ico", "h.psd",
    ]  # fmt: skip
    assert [path.name for path in found.videos] == ["film.MP4", "film.mkv"]
    assert [path.name for path in found.texts] == ["a.txt"]
    assert [path.name for path in found.others] == ["notes.pdf", "text", "vector.eps", "vector.svg"]
    assert reasons(found) == {
        ".hidden.png": listing.HIDDEN, ".thumbnails": listing.HIDDEN,
        "empty.png": listing.EMPTY, "empty": listing.EMPTY,
    }  # fmt: skip


@pytest.mark.parametrize("suffix", sorted(image_formats.HEIF_SUFFIXES))
def test_heic_is_read_or_named_with_the_way_to_read_it(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"photo{suffix.upper()}"
    path.write_bytes(b"x")
    if image_formats.has_heif():
        assert list_folder(tmp_path).images == [path]
    monkeypatch.setattr(image_formats, "suffixes", lambda: frozenset({".png"}))
    assert list_folder(tmp_path).passed_over == [
        listing.PassedOver(
            path, listing.NO_HEIF, "pip install 'glotclip[photos]' to read HEIC images, or convert them to JPEG"
        )
    ]


def test_links_and_special_files(tmp_path: Path) -> None:
    album = put(tmp_path / "album", in__a_png=image())
    put(tmp_path / "elsewhere", b_png=image(1), deep__c_png=image(2))
    os.mkfifo(album / "pipe.png")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(album / "socket.png"))
    (album / "nowhere.png").symlink_to("absent")
    (album / "circle").symlink_to("circle")
    (album / "up").symlink_to("..")
    (album / "root").symlink_to("/")
    (album / "self").symlink_to(".")
    (album / "again").symlink_to("in")
    (album / "linked").symlink_to(tmp_path / "elsewhere")
    (album / "twice").symlink_to(tmp_path / "elsewhere")
    (album / "file.png").symlink_to(album / "in" / "a.png")
    (tmp_path / "elsewhere" / "back").symlink_to(album)
    found = list_folder(album)
    assert [str(path.relative_to(album)) for path in found.images] == [
        "file.png", "in/a.png", "linked/b.png", "linked/deep/c.png",
    ]  # fmt: skip
    assert reasons(found) == {
        "pipe.png": listing.SPECIAL, "socket.png": listing.SPECIAL,
        "nowhere.png": listing.BROKEN_LINK, "circle": listing.BROKEN_LINK,
        "up": listing.LINKED_ABOVE, "root": listing.LINKED_ABOVE,
        "self": listing.LINKED_TWICE, "again": listing.LINKED_TWICE, "twice": listing.LINKED_TWICE,
        "linked/back": listing.LINKED_TWICE,
    }  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user; others are tested by themselves")
def test_folders_and_files_without_permission_are_named(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from glotclip import image_formats
from glotclip.data.listing import list_folder
from glotclip.errors import DataError
image_formats.suffixes()
os.setuid(65534)
os.chdir(sys.argv[1])
found = list_folder(Path("album"))
passed = [f"{each.path.name}={each.reason} ({each.detail})" for each in found.passed_over]
print(*(path.name for path in found.images), *passed, sep="|")
try:
    list_folder(Path("album/closed"))
except DataError as error:
    print(error.message)
"""
    put(tmp_path / "album", a_png=image(), closed__b_png=image(), listed__c_png=image())
    (tmp_path / "album" / "closed").chmod(0)
    (tmp_path / "album" / "listed").chmod(0o444)  # names can be read, and nothing about them
    for place in (tmp_path, *tmp_path.parents[:3]):
        place.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "a.png|closed=folder that cannot be opened (Permission denied)|c.png=cannot be examined (Permission denied)",
        "the folder album/closed cannot be opened (Permission denied)",
    ]


@pytest.mark.parametrize("name", ["absent", "file", "a\0b", "x" * 300])
def test_what_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"is not a folder|cannot be opened"):
        list_folder(tmp_path / name)


def test_reasons_are_counted_and_the_first_named(tmp_path: Path) -> None:
    put(
        tmp_path,
        a_txt=b"x",
        b_txt=b"x",
        c_pdf=b"x",
        bare=b"x",
        film_mp4=b"x",
        e_png=b"",
        f_png=b"",
        g_png=b"",
        h_png=b"",
    )
    (tmp_path / "line\nbreak.png").touch()
    (tmp_path / "My story, vol. 2 of 3").write_bytes(b"x")
    lines = summary(list_folder(tmp_path).unused({"videos": "video", "texts": OTHER}), tmp_path)
    assert lines == [
        "5 × empty file: e.png, f.png, g.png and 2 more",
        "1 × video: film.mp4",
        "5 other files: 2 .txt, 2 without suffix, 1 .pdf",
    ]
    assert shown("line\nbreak\x1b[2J\u202e.png") == "line\\nbreak\\x1b[2J\\u202e.png"


# --- whatever lies there ------------------------------------------------------------------------------------------

_SIGNS = st.sampled_from(
    ["a", "B", "é", "狗", "🐶", " ", "-", "\n", "\t", "\x1b", "\u200f", "\u202e", "'", "\\", ".", "%"]
)
_BYTES = st.sampled_from([b"\xff", b"\xe9", b"\xc3\x28", b"\xed\xa0\x80"])  # none of them is UTF-8
_STEMS = st.one_of(
    st.lists(_SIGNS, min_size=1, max_size=6).map(lambda signs: "".join(signs).encode()),
    st.lists(st.one_of(_SIGNS.map(str.encode), _BYTES), min_size=1, max_size=4).map(b"".join),
    st.sampled_from(
        [b"-rf", b"--json", b".hidden", b"photo", b"photo.de", b"x" * 250, "é".encode() * 120, b"con", b"~"]
    ),
)
_SUFFIXES = st.sampled_from(
    [b"", b".png", b".PNG", b".Jpg", b".jpeg", b".gif", b".webp", b".heic", b".tif", b".txt", b".TXT", b".de.txt",
     b".png.txt", b".mp4", b".eps", b".ps", b".pdf", b".csv", b".svg"]
)  # fmt: skip
_KINDS = st.sampled_from(
    ["image", "image", "image", "jpeg", "text", "text", "empty", "eps", "cut", "folder", "folder", "link",
     "broken link", "loop", "link up", "link to folder", "pipe", "socket"]
)  # fmt: skip
_MODES = st.sampled_from([None, None, None, 0o000, 0o444, 0o555])
_ENTRIES = st.lists(st.tuples(_STEMS, _SUFFIXES, _KINDS, _MODES, st.integers(0, 7)), max_size=9)
_CONTENTS = {
    "image": image(3), "jpeg": image(4, "JPEG"), "text": "ein Hund\n\n狗\n".encode(), "empty": b"",
    "cut": image(5)[:40], "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
}  # fmt: skip


def build(root: Path, entries: list[tuple[bytes, bytes, str, int | None, int]]) -> None:
    """Make a folder of them; an entry that the system refuses, or whose name is taken, is left out."""
    folders = [os.fsencode(root)]
    modes: list[tuple[bytes, int]] = []
    for stem, suffix, kind, mode, where in entries:
        parent = folders[where % len(folders)]
        name = (stem[: 255 - len(suffix)] + suffix).replace(b"/", b"").replace(b"\0", b"")
        path = os.path.join(parent, name)
        if name in (b"", b".", b"..") or os.path.lexists(path):
            continue
        try:
            if kind in _CONTENTS:
                with open(path, "xb") as stream:
                    stream.write(_CONTENTS[kind])
            elif kind == "folder":
                os.mkdir(path)
                folders.append(path)
            elif kind == "pipe":
                os.mkfifo(path)
            elif kind == "socket":
                os.mknod(path, stat.S_IFSOCK | 0o600)
            else:
                aims = {
                    "link": b"photo.png",
                    "broken link": b"absent",
                    "loop": name,
                    "link up": b"..",
                    "link to folder": folders[-1],
                }
                os.symlink(aims[kind], path)
        except OSError:
            continue
        if mode is not None and kind in (*_CONTENTS, "folder"):
            modes.append((path, mode))
    for path, mode in reversed(modes):
        os.chmod(path, mode)


def state(root: Path) -> str:
    """Hash names, kinds, modes, times and contents of all that lies there."""
    digest = hashlib.sha256()
    for place, folders, files in os.walk(os.fsencode(root)):
        folders.sort()
        for name in sorted((*folders, *files)):
            path = os.path.join(place, name)
            facts = os.lstat(path)
            digest.update(b"%s %d %d %d %d\n" % (path, facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ino))
            if stat.S_ISREG(facts.st_mode):
                with open(path, "rb") as stream:
                    digest.update(stream.read())
    return digest.hexdigest()


def entries_below(found: Listing) -> set[str]:
    """All that lies in the folders which were listed, and in no folder that was passed over; folders listed apart."""
    passed = {str(each.path) for each in found.passed_over}
    there: set[str] = set()
    waiting = [str(found.folder)]
    while waiting:
        place = waiting.pop()
        for name in os.listdir(place):
            path = os.path.join(place, name)
            if os.path.isdir(path) and path not in passed:
                waiting.append(path)
            else:
                there.add(path)
    return there


@contextmanager
def without_privileges() -> Iterator[None]:
    """Permissions count for root, too, while another user is the effective one."""
    if os.geteuid() != 0:
        yield
        return
    codecs.lookup("utf-8-sig")  # what Python loads on first use may lie where that user cannot read
    image_formats.suffixes()
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def load(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return PREPROCESS.load(path)


@pytest.mark.slow
@settings(max_examples=500, suppress_health_check=list(HealthCheck))
@given(entries=_ENTRIES)
def test_any_folder_is_accounted_for_and_left_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[bytes, bytes, str, int | None, int]]
) -> None:
    root = tmp_path_factory.getbasetemp() / "any" / hashlib.sha256(repr(entries).encode()).hexdigest()[:16]
    root.mkdir(parents=True, exist_ok=True)
    for place in (root, *root.parents[:4]):
        place.chmod(0o755)
    build(root, entries)
    before = state(root)
    with without_privileges():
        found = list_folder(root)
        named = [str(path) for kind in ("images", "videos", "texts", "others") for path in getattr(found, kind)]
        named += [str(each.path) for each in found.passed_over]
        assert len(named) == len(set(named)) == len(found)
        assert set(named) == entries_below(found)
        for line in summary(found.unused({"videos": "video", "texts": OTHER}), root):
            line.encode()  # names that are no UTF-8 can be printed
            assert line.isprintable()
        # What search does with the images: each has a feature, or is named with a reason.
        features = FeatureCache("f", Path("/proc/none")).images(found.images, load, lambda pixels: pixels[:, :, 0, 0])
        unread = {str(path) for path, row in zip(found.images, features.rows, strict=True) if row < 0}
        assert unread == {item.where for item in features.skipped}
        assert all(item.reason for item in features.skipped)
        _read_captions(root, found)
    assert state(root) == before


def _read_captions(root: Path, found: Listing) -> None:
    """What a caption file or an image becomes: rows, or an entry of a list with its reason."""
    try:
        corpus = readers.read(root, default_lang="en")
    except GlotclipError:
        assert not found.texts
        return
    listed = {item.where for item in (*corpus.skipped, *corpus.unused)}
    used = {str(row.image) for row in corpus.rows}
    for path in found.images:
        assert str(path) in used | listed or any(str(path.with_suffix("")) in where for where in listed)
    captions = {str(path) for path in found.texts} - listed
    assert len(used) <= len(captions) or not captions
    assert {str(each.path) for each in found.passed_over} <= listed
    assert {str(path) for path in (*found.videos, *found.others)} <= listed


def test_the_fuzz_reaches_every_reason(tmp_path: Path) -> None:
    """The generated folders hold what they should: all kinds can be made on this system."""
    every: list[tuple[bytes, bytes, str, int | None, int]] = [
        (b"photo", b".png", "image", None, 0), (b"-rf", b".png", "pipe", None, 0), (b"s", b"", "socket", None, 0),
        (b"l", b"", "loop", None, 0), (b"u", b"", "link up", None, 0), (b"\xff", b".png", "jpeg", None, 0),
        (b"x" * 250, b".Jpg", "image", None, 0), (b"b", b"", "broken link", None, 0),
    ]  # fmt: skip
    build(tmp_path, every)
    assert len(os.listdir(tmp_path)) == len(every)
    assert len(list_folder(tmp_path)) == len(every)
