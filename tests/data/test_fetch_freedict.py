from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data import fetch_freedict
from glotclip.data.dataset import open_dataset
from glotclip.data.sources import freedict
from glotclip.errors import DataError, LanguageError, StorageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

COPYRIGHT = "Files: deu-eng/*\nLicense: GPL-2+\n"


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No dictionary of this machine, no network, and programs only from a folder of the test."""
    for module in (freedict, fetch_freedict):
        monkeypatch.setattr(module, "SYSTEM", tmp_path / "nowhere")
    monkeypatch.setattr(fetch_freedict, "RELEASES", "http://127.0.0.1:9/none.json")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def packed(desk: Desk, name: str, words: dict[str, str], folder: str = "usr/share/dictd") -> bytes:
    """A tar archive with a dictionary, a copyright file, and a file that has no business there."""
    desk.dictd(name, [(one.lower(), f"{one}\n{other}\n") for one, other in words.items()])
    files = {f"{folder}/{path.name}": path.read_bytes() for path in desk.root.glob(f"{name}.*")}
    files |= {"usr/share/doc/x/copyright": COPYRIGHT.encode(), "../evil": b"x", "etc/passwd": b"x"}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def apt(desk: Desk, tmp_path: Path, script: str = "") -> None:
    """Programs that speak as apt and dpkg-deb do, with two packages: the real ones need a network."""
    for name, words in (("deu-eng", {"Hund": "dog"}), ("eng-deu", {"tree": "Baum"})):
        (tmp_path / f"dict-freedict-{name}_1.2_all.deb").write_bytes(packed(desk, f"freedict-{name}", words))
    names = "dict-freedict-deu-eng\\ndict-freedict-eng-deu\\ndict-freedict-deu-fra\\n"
    programs = {
        "apt-cache": f'printf "{names}"',
        "apt-get": script or f'/bin/cp {tmp_path}/"$3"_*.deb . ; echo "$3" >> {tmp_path}/asked',
        "dpkg-deb": '/usr/bin/xz -dc < "$2"',
    }
    for name, content in programs.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{content}\n")
        program.chmod(0o755)


def test_packages_are_unpacked_without_root_and_found_by_name(desk: Desk, tmp_path: Path) -> None:
    apt(desk, tmp_path)
    done = fetch_freedict.get("de")
    assert [each.name for each in done] == ["freedict-deu-eng", "freedict-eng-deu"]
    folder = done[0].folder
    assert {path.name for path in folder.iterdir()} == {
        "freedict-deu-eng.index", "freedict-deu-eng.dict.dz", "freedict-deu-eng.copyright", "source.json",
    }  # fmt: skip
    recorded = json.loads((folder / "source.json").read_text())
    archive = (tmp_path / "dict-freedict-deu-eng_1.2_all.deb").read_bytes()
    assert (
        recorded["source"] == "dict-freedict-deu-eng 1.2"
        and recorded["sha256"] == hashlib.sha256(archive).hexdigest()
    )
    assert not list(tmp_path.rglob("evil"))
    data = open_dataset("freedict")
    assert {row.text for row in data.corpus(["de"]).rows} == {"Hund", "Baum"}
    assert data.licences(["de"])[0].licence == "GPL-2.0-or-later"
    again = fetch_freedict.get("de")
    assert [each.source for each in again] == ["", ""]
    assert (tmp_path / "asked").read_text().split() == ["dict-freedict-deu-eng", "dict-freedict-eng-deu"]


def test_what_glotclip_did_not_make_stays(desk: Desk, tmp_path: Path) -> None:
    apt(desk, tmp_path)
    strange = desk.bytes("mine/freedict-deu-eng/letter.txt", b"dear")
    with pytest.raises(StorageError, match="is there already"):
        fetch_freedict.get("de", desk.root / "mine")
    assert strange.read_bytes() == b"dear" and len(list((desk.root / "mine").iterdir())) == 1


def test_a_failing_apt_says_why(desk: Desk, tmp_path: Path) -> None:
    apt(desk, tmp_path, 'echo "E: Failed to fetch: no route to host" >&2; exit 100')
    with pytest.raises(
        DataError, match="apt could not fetch dict-freedict-deu-eng: Failed to fetch: no route"
    ) as caught:
        fetch_freedict.get("de")
    assert "check the network" in caught.value.hint
    apt(desk, tmp_path, "echo no > x.deb")
    with pytest.raises(DataError, match="cannot be unpacked"):
        fetch_freedict.get("de")
    assert not freedict.fetched_folder().exists() or not list(freedict.fetched_folder().iterdir())


def test_without_apt_and_network_both_reasons_are_given() -> None:
    with pytest.raises(DataError, match=r"apt.* knows none here, and http://127.0.0.1:9/none.json cannot be reached"):
        fetch_freedict.get("de")


@pytest.fixture
def released(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server with a list of releases and one dictionary."""
    place = tmp_path / "served"
    place.mkdir()
    archive = packed(desk, "freedict-deu-eng", {"Mond": "moon"}, folder="deu-eng")
    (place / "deu-eng.dictd.tar.xz").write_bytes(archive)
    handler = partial(SimpleHTTPRequestHandler, directory=str(place))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        release = {
            "URL": f"{address}/deu-eng.dictd.tar.xz",
            "checksum": hashlib.sha512(archive).hexdigest(),
            "platform": "dictd",
        }
        entries = [{"name": "deu-eng", "releases": [{"platform": "src", "URL": "x"}, release]}, {"software": {}}]
        (place / "list.json").write_text(json.dumps(entries))
        monkeypatch.setattr(fetch_freedict, "RELEASES", f"{address}/list.json")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield place
        server.shutdown()


def test_without_apt_releases_are_fetched_and_their_checksum_compared(released: Path) -> None:
    (done,) = fetch_freedict.get(["de"])
    assert done.source.endswith("deu-eng.dictd.tar.xz") and len(done.sha256) == 64
    assert [row.text for row in open_dataset("freedict").corpus(["de"]).rows] == ["Mond"]
    with pytest.raises(LanguageError, match="no dictionary of fr and English") as caught:
        fetch_freedict.get("fr")
    assert "it has: de" in caught.value.hint


def test_a_release_that_is_not_what_is_listed_is_refused(released: Path) -> None:
    archive = released / "deu-eng.dictd.tar.xz"
    archive.write_bytes(archive.read_bytes()[:-4] + b"evil")
    with pytest.raises(DataError, match="is not what FreeDict lists"):
        fetch_freedict.get("de")
    assert not freedict.fetched_folder().exists()


def test_a_dictionary_that_is_installed_needs_no_fetching(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.dictd("freedict-deu-eng", [("hund", "Hund\ndog\n")])
    for module in (freedict, fetch_freedict):
        monkeypatch.setattr(module, "SYSTEM", desk.root)
    assert [each.folder for each in fetch_freedict.get("de")] == [desk.root]
