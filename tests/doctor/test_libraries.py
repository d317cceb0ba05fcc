"""The default library as it may be found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.library.conftest import CountingEncoder, encoder, library, photos, polyglot  # noqa: F401 -- fixtures

from glotclip.doctor.check import Case, Finding
from glotclip.doctor.libraries import libraries
from glotclip.library.catalogue import FILE
from glotclip.library.library import Library


def found() -> list[Finding]:
    return list(libraries(Case()))


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOTCLIP_LIBRARY", str(tmp_path / "library"))


def test_none() -> None:
    (finding,) = found()
    assert finding.state == "missing" and finding.mend == "glotclip index DIR"


def test_what_is_there(library: Library, encoder: CountingEncoder, photos: Path) -> None:  # noqa: F811
    library.index([photos], encoder=encoder)
    said = [(each.what, each.state) for each in found()]
    assert said == [("library", "fine"), ("folder", "fine"), (encoder.source, "fine")]
    assert "40 pictures" in found()[0].said and "40 vectors" in found()[-1].said


def test_a_folder_that_is_not_mounted(library: Library, encoder: CountingEncoder, photos: Path) -> None:  # noqa: F811
    library.index([photos], encoder=encoder)
    shutil.rmtree(photos)
    assert [each.state for each in found()] == ["fine", "missing", "fine"]


def test_vectors_that_were_lost(library: Library, encoder: CountingEncoder, photos: Path) -> None:  # noqa: F811
    library.index([photos], encoder=encoder)
    (store,) = library.path.glob("vectors*")
    with store.open("r+b") as file:
        file.truncate(store.stat().st_size // 2)
    lost = found()[-1]
    assert lost.state == "broken" and "of 40 vectors are not in the file store" in lost.said
    store.unlink()
    assert found()[-1].state == "broken"


def test_a_catalogue_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / FILE).write_bytes(b"no database at all" * 100)
    (finding,) = found()
    assert finding.state == "broken" and finding.mend
