"""The cache folder as it may be found."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from glotclip.doctor.check import Case, Finding
from glotclip.doctor.disk import caches, size_of, size_words


def found() -> dict[str, Finding]:
    return {each.what: each for each in caches(Case())}


def test_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path / "cache"))
    assert "not there yet" in found()["cache"].said
    (tmp_path / "cache" / "features" / "a").mkdir(parents=True)
    (tmp_path / "cache" / "features" / "a" / "rows").write_bytes(bytes(2_500_000))
    (tmp_path / "cache" / "loose").write_bytes(bytes(1_000_000))
    now = found()
    assert now["features"].said.startswith("2.5 MB") and now["everything else"].said == "1.0 MB"
    assert size_of(tmp_path) == 3_500_000 and size_words(2_340_000_000) == "2.3 GB"


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path / "file"))
    assert found()["cache"].state == "broken" and "GLOTCLIP_CACHE" in found()["cache"].mend


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(9, 9, 1000))
    assert found()["free space"].state == "broken"
