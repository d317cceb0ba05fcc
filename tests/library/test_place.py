"""Where a library lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from glotclip.library.place import library_path


def test_an_argument_goes_before_the_variable_before_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert library_path().is_relative_to(tmp_path)
    monkeypatch.setenv("GLOTCLIP_LIBRARY", "~/mine")
    assert library_path() == tmp_path / "mine"
    assert library_path("here") == Path.cwd() / "here"
