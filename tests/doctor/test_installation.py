"""Packages that are missing, and packages that are there and do not work."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from glotclip.doctor import installation
from glotclip.doctor.check import Case
from glotclip.doctor.installation import OPTIONAL, Package, optional, threads, versions


def test_versions() -> None:
    found = {each.what: each for each in versions(Case())}
    assert found["glotclip"].said and found["numpy"].said.startswith("2.")
    assert all(each.state == "fine" for each in found.values())


def test_extras_of_the_optional_packages_exist() -> None:
    import tomllib

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    for package in OPTIONAL:
        assert any(package.distribution in each for each in extras[package.extra]), package


def test_missing_is_no_fault_and_broken_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "crooked.py").write_text("raise ImportError('libfoo.so.3: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    here = tuple(each for each in OPTIONAL if each.module in ("torch", "onnxruntime"))
    absent, crooked = Package("nowhere", "no-where", "photos", "HEIC"), Package("crooked", "crooked", "mt", "x")
    monkeypatch.setattr(installation, "OPTIONAL", (*here, absent, crooked))
    found = {each.what: each for each in optional(Case())}
    assert found["no-where"].state == "missing" and found["no-where"].mend == "pip install 'glotclip[photos]'"
    assert found["crooked"].state == "broken" and "libfoo" in found["crooked"].said
    assert found["torch"].state == "fine" and "models" not in found


def test_without_anything_to_compute_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    found = {each.what: each for each in optional(Case())}
    assert found["models"].state == "broken" and "glotclip[onnx]" in found["models"].mend
    assert "torch" in sys.modules or found["torch"].state == "missing"


@pytest.mark.parametrize(("value", "state"), [("1", "fine"), ("many", "broken"), ("0", "broken"), ("9999", "broken")])
def test_threads(value: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert [each.state for each in threads(Case())][-1] == state
