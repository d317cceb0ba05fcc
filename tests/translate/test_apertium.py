"""Apertium, as a program that behaves like it and, where it is installed, as itself."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.errors import DataError, LanguageError, MissingExtraError
from glotclip.translate.apertium import ApertiumEngine

if TYPE_CHECKING:
    from tests.translate.conftest import FakeApertium

MODES = Path("/usr/share/apertium/modes")
real = pytest.mark.skipif(
    shutil.which("apertium") is None or not (MODES / "eng-spa.mode").exists(),
    reason="apertium-eng-spa is not installed",
)
CAPTIONS = [
    "a brown dog runs through the grass",
    "Two men are at the stove preparing food.",
    "a flock of birds",
    "a desk with a lamp",
    'a sign says "stop" [here] / @ $5',
    "playhouse",
]


def test_the_program_mixes_captions_that_follow_one_another(fake_apertium: FakeApertium) -> None:
    """What the empty lines are for: without them words move to the neighbour."""
    done = subprocess.run(
        [fake_apertium.program, "-u", "eng-cat"], input="a\nb c\nd", capture_output=True, text=True, check=True
    )
    assert done.stdout == "b+cat\na+cat d+cat\nc+cat"


def test_captions_stay_apart(fake_apertium: FakeApertium) -> None:
    texts = ["a", "b c", "d", "e f g"]
    assert ApertiumEngine().translate(texts, "en", "ca") == ["a+cat", "c+cat b+cat", "d+cat", "f+cat e+cat g+cat"]
    assert fake_apertium.calls == ["-l", "-u eng-cat"]


def test_a_pivot_where_there_is_no_direct_pair(fake_apertium: FakeApertium) -> None:
    assert ApertiumEngine().modes_between("en", "fr") == ["eng-cat", "cat-fra"]
    assert ApertiumEngine().translate(["x"], "en", "fr") == ["x+cat+fra"]
    assert ApertiumEngine().translate(["x"], "en", "pt-BR") == ["x+por_BR"]
    assert ApertiumEngine().modes_between("es", "fr") == ["spa-eng", "eng-cat", "cat-fra"]


def test_a_lost_boundary_is_found_by_halving(fake_apertium: FakeApertium) -> None:
    texts = ["glue b", "a", "c", "d e"]
    assert ApertiumEngine().translate(texts, "en", "ca") == ["b+cat glue+cat", "a+cat", "c+cat", "e+cat d+cat"]
    assert fake_apertium.calls == ["-l", *["-u eng-cat"] * 5]  # all, the first half, its two, the second half


def test_marks_are_hidden_unless_the_text_has_them(fake_apertium: FakeApertium) -> None:
    assert ApertiumEngine().translate(["odd", "#odd"], "en", "ca") == ["odd+cat", "#odd+cat"]


def test_a_caption_without_answer_keeps_its_place(fake_apertium: FakeApertium) -> None:
    assert ApertiumEngine().translate(["a", "mute", "b"], "en", "fr") == ["a+cat+fra", "", "b+cat+fra"]
    assert ApertiumEngine().translate(["mute", "mute"], "en", "fr") == ["", ""]


def test_the_version_says_the_programs(fake_apertium: FakeApertium) -> None:
    version = ApertiumEngine().version
    assert version.startswith("9.9.9+")
    data = fake_apertium.program.parents[1] / "share" / "apertium" / "apertium-eng-cat"
    data.mkdir(parents=True)
    (data / "eng-cat.autobil.bin").write_bytes(b"dictionary")
    assert ApertiumEngine().version != version


def test_a_pair_that_is_not_installed(fake_apertium: FakeApertium) -> None:
    with pytest.raises(LanguageError, match="from 'en' it reaches ca, pt-BR, fr") as caught:
        ApertiumEngine().translate(["a"], "en", "de")
    assert "apt-get install" in caught.value.hint


def test_no_apertium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match="'apertium' is not installed"):
        ApertiumEngine()


def test_a_program_that_breaks(fake_apertium: FakeApertium) -> None:
    fake_apertium.program.write_text("#!/bin/sh\necho broken pair >&2\nexit 3\n", encoding="utf-8")
    with pytest.raises(DataError, match="exit code 3: broken pair"):
        ApertiumEngine().translate(["a"], "en", "ca")


@real
def test_neighbours_do_not_matter() -> None:
    """The same answers in any order, and alone: nothing bleeds from one caption into another."""
    engine = ApertiumEngine()
    there = engine.translate(CAPTIONS, "en", "es")
    assert there[2] == "Un rebaño de pájaros"
    order = random.Random(0).sample(range(len(CAPTIONS)), len(CAPTIONS))
    assert engine.translate([CAPTIONS[place] for place in order], "en", "es") == [there[place] for place in order]
    assert engine.translate(CAPTIONS[:1], "en", "es") == there[:1]


@real
def test_unknown_words_and_signs_stay() -> None:
    *_, signs, unknown = ApertiumEngine().translate(CAPTIONS, "en", "es")
    assert unknown.lower() == "playhouse"
    assert all(sign in signs for sign in '"[]/@$5')


@real
def test_installed_modes_are_known_by_bcp_47() -> None:
    assert ApertiumEngine().modes["en", "es"] == "eng-spa"
    assert ApertiumEngine().modes["es", "en"] == "spa-eng"
