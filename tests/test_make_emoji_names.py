"""The script that makes the emoji's data files: what it chooses and writes is what is committed."""

from __future__ import annotations

import json
import runpy
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from glotclip.data import emoji

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> SimpleNamespace:
    """The script's names."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "make_emoji_names.py")))


def test_the_committed_concepts_are_what_it_chooses(
    script: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Google's real folder is not at hand here; with one that holds the same concepts, flags and skin tones,
    # choosing and splitting must give the list again.
    folder = tmp_path / "img" / "google" / "64"
    folder.mkdir(parents=True)
    extra = ["1f1e9-1f1ea", "1f44d-1f3ff", "1f3f4-e0067-e0062-e0065-e006e-e0067-e007f"]
    for concept in [*emoji.concepts(), *extra]:
        (folder / f"{concept}.png").write_bytes(b"x")
    monkeypatch.setenv("GLOTCLIP_EMOJI_VENDORS", str(tmp_path))
    assert dict(script.make_concepts()) == emoji.concepts()


def test_the_packages_names_are_those_committed(script: SimpleNamespace) -> None:
    for lang, names in script.package_names():
        assert [names[concept][0] for concept in names] == [each.name for each in emoji.texts(lang).values()]


def test_names_of_cldr(script: SimpleNamespace, tmp_path: Path) -> None:
    thumb = {"👍": {"default": ["kubali", "↑↑↑", "kidole"], "tts": ["dole  gumba juu"]}, "☀": {"tts": ["↑↑↑"]}}
    derived = {"👨‍✈": {"tts": ["rubani"]}}
    english = {"👍": {"default": ["yes"], "tts": ["thumbs up"]}}
    for package, half, lang, content in (
        ("cldr-annotations-full", "annotations", "sw", thumb),
        ("cldr-annotations-derived-full", "annotationsDerived", "sw", derived),
        ("cldr-annotations-full", "annotations", "en", english),
        ("cldr-annotations-full", "annotations", "xx", {}),
    ):
        path = tmp_path / package / half / lang / "annotations.json"
        path.parent.mkdir(parents=True)
        # Some locales of the real packages lack the inner key altogether.
        path.write_text(json.dumps({half: {"annotations": content} if content else {}}), encoding="utf-8")
    found = dict(script.cldr_names(tmp_path))
    assert found["sw"] == {
        "1f44d": ["dole gumba juu", "kubali", "kidole"],
        "1f468-200d-2708-fe0f": ["rubani"],
    }
    assert found["en"]["1f44d"] == ["thumbs up", "yes", "thumbsup", "+1"] and set(found) == {"en", "sw"}
    script.write_names(tmp_path, tmp_path / "names.zip")
    with zipfile.ZipFile(tmp_path / "names.zip") as packed:
        lines = dict(zip(emoji.concepts(), packed.read("cldr/en").decode().split("\n"), strict=True))
    assert lines["1f44d"] == "thumbs up\tyes|thumbsup|+1" and lines["1f600"] == ""
