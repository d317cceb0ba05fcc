"""Apertium as it may be found."""

from __future__ import annotations

from pathlib import Path

import pytest

from glotclip.doctor import engines as checks
from glotclip.doctor.check import Case
from glotclip.doctor.engines import engines


@pytest.mark.parametrize(
    ("script", "state", "said"),
    [
        (None, "missing", "not installed"),
        ("echo spa-eng; echo fra-eng", "fine", "spa-eng, fra-eng"),
        ("true", "missing", "no pair"),
        ("echo the sky fell >&2; exit 3", "broken", "the sky fell"),
        ("sleep 9", "broken", "does not answer"),
    ],
)
def test_apertium(script: str | None, state: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SECONDS", 1)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    if script is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        program = tmp_path / "apertium"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    (finding,) = engines(Case())
    assert finding.state == state and said in finding.said
    assert finding.mend or state == "fine"
