"""The word-by-word translator of benchmarks/: reads dictd's format, and takes the translation that leads back."""

from __future__ import annotations

import gzip
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def gloss() -> SimpleNamespace:
    """The script's names."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "gloss.py")))


def _base64(value: int) -> str:
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return (_base64(value // 64) if value >= 64 else "") + digits[value % 64]


def _write(folder: Path, name: str, entries: list[tuple[str, str]]) -> None:
    text, index = b"", "00-database-info\tA\tA\n"
    for word, entry in entries:
        said = f"{word} /x/ <n>\n{entry}\n".encode()
        index += f"{word}\t{_base64(len(text))}\t{_base64(len(said))}\n"
        text += said
    (folder / f"freedict-{name}.dict.dz").write_bytes(gzip.compress(text))
    (folder / f"freedict-{name}.index").write_text(index, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small dictionaries of German."""
    _write(
        tmp_path,
        "eng-deu",
        [
            ("dog", "Bock <masc> [techn.]\n   Synonym: {trestle}"),
            ("dog", 'Hund <masc>, Köter <masc>\n      "a dog\'s life"  - ein Hundeleben'),
            ("red", "1. rot\nthe colour\n2. rötlich"),
            ("fire engine", "Feuerwehrauto <neut>"),
            ("eye", "Auge <neut>"),
        ],
    )
    _write(tmp_path, "deu-eng", [("Hund", "dog <n>"), ("Bock", "trestle <n>"), ("rot", "red"), ("Auge", "eye")])
    return tmp_path


def test_entries_are_found_by_dictds_index(gloss: SimpleNamespace, folder: Path) -> None:
    dictionary = gloss.Dictionary("en", "de", folder)
    assert dictionary.translations("DOG") == [["Bock"], ["Hund", "Köter"]]
    assert dictionary.translations("red") == [["rot", "rötlich"]]  # not the definition between them
    assert dictionary.translations("cat") == []
    assert gloss.number(_base64(123_456)) == 123_456


def test_hungarian_letters_are_mended(gloss: SimpleNamespace, tmp_path: Path) -> None:
    _write(tmp_path, "hun-eng", [("erdô", "forest")])
    assert gloss.Dictionary("hu", "en", tmp_path).translations("erdő") == [["forest"]]


def test_phrases_lemmas_and_ways_back(gloss: SimpleNamespace, folder: Path) -> None:
    pytest.importorskip("simplemma")
    pytest.importorskip("wordfreq")
    glosser = gloss.Glosser("en", "de", folder)
    assert glosser.translate("a red fire engine, dog eyes!") == "a rot Feuerwehrauto, Hund Auge!"
