"""Engines as they are written on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.errors import CheckpointError, ConfigError, LanguageError
from glotclip.translate.cache import FirstFit
from glotclip.translate.lines import CommandEngine, FileEngine
from glotclip.translate.specs import FORMS, open_engine, open_translator

if TYPE_CHECKING:
    from tests.translate.conftest import FakeApertium, Models


def test_every_form_opens(fake_apertium: FakeApertium, models: Models, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("a\n", encoding="utf-8")
    (tmp_path / "model.bin").touch()
    rest = {
        "ctranslate2": str(tmp_path),
        "transformers": str(models.marian),
        "files": f"{tmp_path / 'lines'}:{tmp_path / 'lines'}",
        "command": f"{sys.executable} -c 'print(\"a:b\")'",
    }
    for name in FORMS:
        assert open_engine(f"{name}:{rest[name]}" if name in rest else name).name == name


def test_what_stands_behind_the_colon_arrives(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a\n", encoding="utf-8")
    engine = open_engine(f"files:{tmp_path / 'a'}:{tmp_path / 'a'}")
    assert isinstance(engine, FileEngine)
    assert engine.source == engine.target == tmp_path / "a"
    command = open_engine(f"command:{sys.executable} -c 'a:b c'")
    assert isinstance(command, CommandEngine)
    assert command.arguments == [sys.executable, "-c", "a:b c"]


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("apertum", "did you mean 'apertium'"),
        ("google", "known: apertium, ctranslate2:DIR"),
        ("apertium:DIR", "write apertium"),
        ("ctranslate2", "write ctranslate2:DIR"),
        ("transformers:", "write transformers:DIR"),
        ("files:one", "write files:SOURCE:TARGET"),
        ("files:one::two", "write files:SOURCE:TARGET"),
        ("command", "write command:PROGRAM"),
    ],
)
def test_what_cannot_be_read(spec: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_engine(spec)
    assert hint in caught.value.hint


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        open_engine(f"ctranslate2:{tmp_path / 'nowhere'}")


def test_one_engine_for_some_languages_and_another_for_the_rest(fake_apertium: FakeApertium, tmp_path: Path) -> None:
    program = f"{sys.executable} -c \"import sys; [print(line.strip() + '={{target}}') for line in sys.stdin]\""
    several = open_translator(f"de, FI = command:{program} or apertium", tmp_path)
    assert isinstance(several, FirstFit)
    assert [list(languages) for languages, _ in several.choices] == [["de", "fi"], []]
    assert several.translate(["a red circle"], "en", "de") == ["a red circle=de"]
    assert several.translate(["red"], "es", "en") == ["red+eng"]
    assert any("spa-eng" in call for call in fake_apertium.calls)


def test_one_engine_alone_is_itself_behind_the_cache(fake_apertium: FakeApertium, tmp_path: Path) -> None:
    alone = open_translator(" apertium ", tmp_path)
    assert not isinstance(alone, FirstFit)
    assert (alone.name, alone.cache) == ("apertium", tmp_path)
    meant = open_translator("es=apertium", tmp_path)
    with pytest.raises(LanguageError, match="no engine is meant"):
        meant.translate(["red"], "en", "ca")


@pytest.mark.parametrize(
    "spec", ["apertium or", "de=", "or apertium", "de=apertum or apertium", "apertium or google"]
)
def test_what_cannot_be_read_of_several(fake_apertium: FakeApertium, spec: str) -> None:
    with pytest.raises(ConfigError, match="unknown translation engine"):
        open_translator(spec)


def test_a_language_that_is_none_is_told(fake_apertium: FakeApertium) -> None:
    with pytest.raises(LanguageError):
        open_translator("english=apertium")
