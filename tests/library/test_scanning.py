"""Whatever happens to files between two runs, only what is new is encoded, and the library shows what is there."""

# ruff: noqa: PTH104, PTH105, PTH118 -- names that are no UTF-8, moved as the system does it

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.conftest import make_tiny_base
from tests.library.conftest import CountingEncoder, picture

from glotclip.data import listing as listing_module
from glotclip.errors import DataError
from glotclip.library import scanning
from glotclip.library.library import Library
from glotclip.library.records import paths_of

if TYPE_CHECKING:
    from glotclip.packs.polyglot import Polyglot

FOLDERS = ("", "a", "b", "a/deep")
NAMES = ("one.png", "two.png", "three.png", "caf\udce9.png", "new\nline.png")
BROKEN = -1


class Files(RuleBasedStateMachine):
    """A folder that is changed at random, with a library that follows it."""

    polyglot: Polyglot

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")  # a disk would wait for each of the many flushes
        self.place = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.root = self.place / "photos"
        self.files: dict[str, int] = {}
        self.indexed: dict[str, int] = {}
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True)
        self.encoder = CountingEncoder(self.polyglot)
        self.library = Library(self.place / "library", create=True)
        self.expected = 0

    def teardown(self) -> None:
        self.library.close()
        shutil.rmtree(self.place)

    def _write(self, name: str, content: int) -> None:
        path = self.root / name
        if path.exists() and path.stat().st_nlink > 1:  # in place it would change under all its names
            path.unlink()
        if content == BROKEN:
            path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
        else:
            picture(path, content)
        self.files[name] = content

    @rule(folder=st.sampled_from(FOLDERS), name=st.sampled_from(NAMES), content=st.integers(BROKEN, 6))
    def write(self, folder: str, name: str, content: int) -> None:
        """A new file, or another content under an old name."""
        self._write(os.path.join(folder, name), content)

    @precondition(lambda self: self.files)
    @rule(data=st.data(), folder=st.sampled_from(FOLDERS), name=st.sampled_from(NAMES), way=st.sampled_from("rcl"))
    def move(self, data: st.DataObject, folder: str, name: str, way: str) -> None:
        """Rename a file (also over another), copy it with its times, or link it."""
        source, target = data.draw(st.sampled_from(sorted(self.files))), os.path.join(folder, name)
        if source == target:
            return
        if way == "r":
            os.replace(self.root / source, self.root / target)
            self.files[target] = self.files.pop(source)
            return
        (self.root / target).unlink(missing_ok=True)
        self.files.pop(target, None)
        if way == "c":
            shutil.copy2(self.root / source, self.root / target)
        else:
            os.link(self.root / source, self.root / target)
        self.files[target] = self.files[source]

    @rule()
    def swap_folders(self) -> None:
        """Rename folders with all that is in them."""
        for old, new in (("a", "x"), ("b", "a"), ("x", "b")):
            os.rename(self.root / old, self.root / new)
            moved = {name: each for name, each in self.files.items() if name.startswith(f"{old}/")}
            for name, content in moved.items():
                del self.files[name]
                self.files[new + name[len(old) :]] = content
        (self.root / "a" / "deep").mkdir(exist_ok=True)

    @precondition(lambda self: self.files)
    @rule(data=st.data(), touch=st.booleans())
    def delete(self, data: st.DataObject, touch: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        if touch:
            (self.root / name).touch()
            return
        (self.root / name).unlink()
        del self.files[name]

    @rule()
    def index(self) -> None:
        before = {content for content in self.indexed.values() if content != BROKEN}
        now = {content for content in self.files.values() if content != BROKEN}
        self.expected += len(now - before)
        report = self.library.index([self.root], encoder=self.encoder)
        sound = sum(content != BROKEN for content in self.files.values())
        assert report.encoded == len(now - before)
        assert self.encoder.count == self.expected
        assert report.items == len(now)
        assert report.encoded + report.unchanged + report.renamed + report.copied == sound
        assert len(report.skipped) == len(self.files) - sound
        gone = {name for name, content in self.indexed.items() if content != BROKEN} - set(self.files)
        assert report.removed <= len(gone)
        self.indexed = dict(self.files)

    @invariant()
    def the_library_holds_what_was_there(self) -> None:
        items = [number for (number,) in self.library.catalogue.rows("SELECT id FROM item")]
        found = {
            os.path.relpath(path, self.root): item
            for item, paths in paths_of(self.library.catalogue, items).items()
            for path in paths
        }
        assert set(found) == {name for name, content in self.indexed.items() if content != BROKEN}
        alike: dict[int, set[int]] = {}
        for name, item in found.items():
            alike.setdefault(self.indexed[name], set()).add(item)
        assert all(len(each) == 1 for each in alike.values())
        assert len(items) == len(alike)
        rows = self.library.catalogue.value("SELECT count(*) FROM vec")
        assert rows == len(items)
        if self.library.models:
            _, store = self.library.view(self.library.model())
            assert len(store) == rows


@pytest.mark.slow
def test_any_sequence_of_changes_is_followed(polyglot: Polyglot) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    Files.polyglot = polyglot
    run_state_machine_as_test(Files, settings=settings(max_examples=25, stateful_step_count=20, deadline=None))


def test_what_is_left_out_is_named(library: Library, photos: Path, encoder: CountingEncoder, tmp_path: Path) -> None:
    picture(photos / "private" / "a.png", 100)
    (photos / "private" / ".nomedia").touch()
    picture(photos / "raw" / "b.png", 101)
    picture(photos / "c.tmp.png", 102)
    picture(tmp_path / "outside" / "d.png", 103)
    (photos / "out").symlink_to(tmp_path / "outside")
    (photos / "out.png").symlink_to(tmp_path / "outside" / "d.png")
    (photos / "loop").symlink_to(photos)
    (photos / "in.png").symlink_to(photos / "00.png")
    (photos / "notes.txt").write_text("x")
    report = library.index([photos], encoder=encoder, exclude=["*.tmp.png", "raw/*"])
    assert (report.encoded, report.copied) == (40, 1)
    assert {Path(each.where).relative_to(photos).as_posix(): each.reason for each in report.skipped} == {
        "private": scanning.IN_NO_MEDIA, "raw/b.png": scanning.EXCLUDED, "c.tmp.png": scanning.EXCLUDED,
        "out": scanning.LEADS_OUT, "out.png": scanning.LEADS_OUT,
        "loop": "linked folder that is listed under another name",
        "notes.txt": "other file: .txt",
    }  # fmt: skip
    again = library.index(encoder=encoder)  # the patterns are kept
    assert (again.encoded, again.unchanged, len(again.skipped)) == (0, 41, 7)
    assert library.index([photos], encoder=encoder, exclude=[]).encoded == 2


def test_a_folder_that_is_not_there_loses_nothing(library: Library, photos: Path, encoder: CountingEncoder) -> None:
    library.index([photos], encoder=encoder)
    photos.rename(photos.with_name("elsewhere"))
    report = library.index(encoder=encoder)
    assert (report.removed, report.items) == (0, 40)
    assert [each.reason for each in report.skipped] == [scanning.NOT_THERE]
    with pytest.raises(DataError, match="not a folder"):
        library.index([photos], encoder=encoder)
    photos.mkdir()  # as an empty place for a drive, on another device than before
    library.catalogue.db.execute("UPDATE root SET dev = '1'")
    report = library.index(encoder=encoder)
    assert (report.removed, [each.reason for each in report.skipped]) == (0, [scanning.NOT_MOUNTED])


def test_a_part_that_cannot_be_opened_is_kept(library: Library, photos: Path, encoder: CountingEncoder) -> None:
    library.index([photos], encoder=encoder)
    real = listing_module.list_folder

    def failing(folder: Path, leave_out: object = None) -> object:
        listing = real(folder, leave_out)  # type: ignore[arg-type]
        listing.images = [path for path in listing.images if path.parent.name != "trip"]
        listing.passed_over.append(
            listing_module.PassedOver(photos / "trip", listing_module.UNREADABLE_FOLDER, "Permission denied")
        )
        return listing

    with pytest.MonkeyPatch.context() as patch:  # root may open every folder, so the system's refusal is played
        patch.setattr(scanning, "list_folder", failing)
        report = library.index(encoder=encoder)
    assert (report.removed, report.unchanged, report.items) == (0, 30, 40)
    assert library.index(encoder=encoder).unchanged == 40


def test_folders_in_folders_are_one(library: Library, photos: Path, encoder: CountingEncoder) -> None:
    assert library.index([photos / "trip"], encoder=encoder).encoded == 10
    report = library.index([photos, photos / "trip"], encoder=encoder)
    assert (report.encoded, report.unchanged) == (30, 10)
    assert [root.path for root in library.roots] == [photos]
    (photos / "31.png").write_bytes((photos / "trip" / "31.png").read_bytes())
    part = library.index([photos / "trip"], encoder=encoder)
    assert (part.unchanged, part.copied, [root.path for root in library.roots]) == (10, 0, [photos])


def test_a_tiny_base_is_the_same_each_time() -> None:
    assert make_tiny_base(3).fingerprint == make_tiny_base(3).fingerprint  # what counting relies on
