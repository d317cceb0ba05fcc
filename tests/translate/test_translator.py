"""Engines behind the disk cache: nothing is asked twice, nothing done is lost; and how engines are named."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glotclip.errors import CacheWarning, CheckpointError, ConfigError, DataError, LanguageError
from glotclip.translate.cache import FILE
from glotclip.translate.engine import BatchEngine, UnansweredWarning
from glotclip.translate.lines import CommandEngine, FileEngine
from glotclip.translate.translator import ENGINES, FirstFit, Translator, open_engine, open_translator

if TYPE_CHECKING:
    from tests.translate.conftest import FakeApertium, Models


class Counting(BatchEngine):
    """Answers with text and target, not at all to question marks; remembers what it was asked; may break."""

    name = "counting"
    chunk = 4

    def __init__(self, version: str = "1", breaks_at: int | None = None) -> None:
        self._version, self.breaks_at = version, breaks_at
        self.asked: list[str] = []

    @property
    def version(self) -> str:
        return self._version

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        if self.breaks_at is not None and len(self.asked) >= self.breaks_at:
            raise DataError("broken", hint="repair it")
        self.asked += texts
        return ["" if text == "?" else f"{text}+{target}" for text in texts]


@settings(max_examples=15)  # every example makes files
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="?")).filter(str.strip)))
def test_count_and_order_are_kept_and_nothing_is_empty(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    translator = Translator(Counting(), tmp_path_factory.mktemp("cache"))
    assert translator.translate(texts, "en", "jp") == [f"{' '.join(text.split())}+ja" for text in texts]


@settings(max_examples=15)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1), max_size=5))
def test_every_text_is_asked_once_and_answered_in_its_place(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[str]]
) -> None:
    engine = Counting()
    engine.chunk = 3
    translator = Translator(engine, tmp_path_factory.mktemp("cache"))
    for texts in calls:
        assert translator.translate(texts, "en", "de") == [f"{text}+de" for text in texts]
    assert sorted(engine.asked) == sorted({text for texts in calls for text in texts})


def test_engine_version_and_pair_are_apart(tmp_path: Path) -> None:
    for version, source, target in (("1", "en", "de"), ("2", "en", "de"), ("1", "fr", "de"), ("1", "en", "fr")):
        engine = Counting(version)
        assert Translator(engine, tmp_path).run(["a"], source, target).cached == 0
        assert engine.asked == ["a"]
    again = Counting("1")
    assert Translator(again, tmp_path).run(["a", " a\n", "b"], "en", "de").cached == 2
    assert again.asked == ["b"]


def test_what_was_done_before_a_failure_stays_done(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(10)]
    broken = Counting(breaks_at=8)
    steps: list[tuple[int, int]] = []
    with pytest.raises(DataError, match="broken"):
        Translator(broken, tmp_path).run(texts, "en", "de", progress=lambda done, total: steps.append((done, total)))
    assert steps == [(4, 10), (8, 10)]
    whole = Counting()
    result = Translator(whole, tmp_path).run(texts, "en", "de")
    assert result.cached == 8
    assert whole.asked == texts[8:]
    assert result.texts == [f"{text}+de" for text in texts]


_PROCESS = """
import os, pathlib, signal, sys, time
from glotclip.translate.translator import Translator
from glotclip.translate.engine import BatchEngine

class Engine(BatchEngine):
    name, version, chunk, calls = "engine", "1", 5, 0
    def translate(self, texts, source, target):
        self.calls += 1
        if sys.argv[2] == "dies" and self.calls == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.005)
        return [text.upper() for text in texts]

texts = [f"text {number}" for number in range(100)]
result = Translator(Engine(), pathlib.Path(sys.argv[1])).run(texts, "en", "de")
assert result.texts == [text.upper() for text in texts]
print(result.cached)
"""


def _start(cache: Path, what: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", _PROCESS, str(cache), what], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_killed_process_loses_one_chunk_at_most(tmp_path: Path) -> None:
    killed = _start(tmp_path, "dies")
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    out, _ = _start(tmp_path, "lives").communicate(timeout=60)
    assert out == "15\n"


@pytest.mark.slow
def test_two_processes_share_the_cache(tmp_path: Path) -> None:
    both = [_start(tmp_path, "lives") for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
        assert process.returncode == 0
    out, _ = _start(tmp_path, "lives").communicate(timeout=60)
    assert out == "100\n"


def test_a_text_without_answer_is_counted_every_time_and_asked_once(tmp_path: Path) -> None:
    engine = Counting()
    for cached in (0, 3):
        result = Translator(engine, tmp_path).run(["a", "?", "b"], "en", "de")
        assert (result.texts, result.unanswered, result.cached) == (["a+de", "?", "b+de"], (1,), cached)
    assert engine.asked == ["a", "?", "b"]
    with pytest.warns(UnansweredWarning, match="1 of 3"):
        Translator(engine, tmp_path).translate(["a", "?", "b"], "en", "de")


def test_too_many_without_answer_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no answer to 2 of 4 texts, first: '\?' \(at most 5%"):
        Translator(Counting(), tmp_path).run(["a", "?", "?", "b"], "en", "de")
    assert len(Translator(Counting(), tmp_path, limit=0.5).run(["a", "?", "?", "b"], "en", "de").unanswered) == 2


def test_a_thousand_captions_come_back_at_once(tmp_path: Path) -> None:
    texts = [f"a man in shirt {number}" for number in range(1000)]
    engine = Counting()
    engine.chunk = 500
    Translator(engine, tmp_path).run(texts, "en", "de")
    started = time.process_time()  # not the clock on the wall: others may be busy on this machine
    assert Translator(Counting(breaks_at=0), tmp_path).run(texts, "en", "de").cached == 1000
    assert time.process_time() - started < 0.3


def test_files_need_no_cache(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"{name}\n", encoding="utf-8")
    result = Translator(FileEngine(tmp_path / "a", tmp_path / "b"), tmp_path / "cache").run(["a"], "en", "de")
    assert result.texts == ["b"]
    assert not (tmp_path / "cache").exists()


def test_the_users_cache_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path / "home"))
    Translator(Counting()).run(["a"], "en", "de")
    assert (tmp_path / "home" / FILE).is_file()


def test_nothing_to_translate(tmp_path: Path) -> None:
    assert Translator(Counting(), tmp_path).run([], "en", "de").texts == []


@pytest.mark.parametrize("way", ["a file in its place", "below a file", "a folder in its place", "locked"])
def test_without_a_cache_all_is_translated_in_memory_and_that_is_said_once(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glotclip.translate.cache._WAIT_SECONDS", 0.05)
    (tmp_path / "file").touch()
    folder = {"a file in its place": tmp_path / "file", "below a file": tmp_path / "file" / "deep"}.get(way, tmp_path)
    other = None
    known = way == "locked"
    if way == "a folder in its place":
        (tmp_path / FILE).mkdir()
    if known:
        Translator(Counting(), tmp_path).run(["a"], "en", "de")
        other = sqlite3.connect(tmp_path / FILE)
        other.execute("BEGIN IMMEDIATE")  # whoever writes must wait; whoever reads need not
    engine = Counting()
    translator = Translator(engine, folder)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        first = translator.run(["a", "b", "c", "b"], "en", "de").texts
        again = translator.run(["c", "a"], "en", "de").texts
    assert again == [first[2], first[0]]
    assert sorted(engine.asked) == (["b", "c"] if known else ["a", "b", "c"])
    assert [warning.category for warning in said] == [CacheWarning]
    if other is not None:
        other.close()


@pytest.mark.slow
def test_no_heavy_package_is_loaded_for_cached_answers(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from glotclip.translate import corpus, translator;"
        "assert not {'torch', 'transformers', 'ctranslate2', 'sentencepiece'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})


class Knowing(Counting):
    """Knows some pairs only, and signs what it does."""

    def __init__(self, name: str, *pairs: tuple[str, str]) -> None:
        super().__init__()
        self.name, self.pairs = name, pairs

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        if (source, target) not in self.pairs:
            raise LanguageError(f"{self.name} does not know {source}-{target}", hint=f"ask {self.name} for less")
        return [f"{self.name}:{text}" for text in super().translate(texts, source, target)]


def test_the_first_that_is_meant_for_a_pair_and_knows_it_translates_it(tmp_path: Path) -> None:
    one = Knowing("one", ("en", "de"), ("en", "es"))
    two = Knowing("two", ("en", "de"), ("de", "en"), ("en", "fi"))
    three = Knowing("three", ("en", "de"), ("en", "es"), ("en", "sv"))
    first = FirstFit(
        [
            (["de", "fi", "es"], Translator(two, tmp_path)),
            ([], Translator(one, tmp_path)),
            (["sv"], Translator(three, tmp_path)),
        ]
    )
    assert first.translate(["a"], "en", "de") == ["two:a+de"]
    assert first.translate(["a"], "de", "en") == ["two:a+en"]
    assert first.translate(["a"], "en", "es") == ["one:a+es"]  # two is meant for it, but does not know it
    assert first.translate(["a"], "en", "sv") == ["three:a+sv"]
    assert first.name == "two or one or three"
    assert first.translate(["a"], "en", "de") == ["two:a+de"]
    assert two.asked == ["a", "a"]  # the third time out of the cache
    with pytest.raises(LanguageError, match="two does not know fr-de; one does not know fr-de") as caught:
        first.translate(["a"], "fr", "de")
    assert caught.value.hint == "ask two for less"


def test_a_region_is_met_by_the_plain_language_that_an_engine_is_meant_for(tmp_path: Path) -> None:
    only = FirstFit([(["pt"], Translator(Knowing("one", ("en", "pt-BR")), tmp_path))])
    assert only.translate(["a"], "en", "pt-BR") == ["one:a+pt-BR"]
    with pytest.raises(LanguageError, match="no engine is meant for 'en' into 'de'") as caught:
        only.translate(["a"], "en", "de")
    assert "CODE=ENGINE" in caught.value.hint


def test_versions_of_all_make_the_version_of_several(tmp_path: Path) -> None:
    def version(*versions: str) -> str:
        return FirstFit([([], Translator(Counting(each), tmp_path)) for each in versions]).version

    assert version("1", "2") == version("1", "2")
    assert len({version("1", "2"), version("2", "1"), version("1")}) == 3


# --- how engines are named ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_form_opens(fake_apertium: FakeApertium, models: Models, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("a\n", encoding="utf-8")
    (tmp_path / "model.bin").touch()
    rest = {
        "ctranslate2": str(tmp_path),
        "transformers": str(models.marian),
        "files": f"{tmp_path / 'lines'}:{tmp_path / 'lines'}",
        "command": f"{sys.executable} -c 'print(\"a:b\")'",
    }
    for name in ENGINES:
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
        ("google", "known: apertium, command, ctranslate2"),
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
