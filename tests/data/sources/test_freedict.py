from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data.dataset import open_dataset
from glotclip.data.sources import freedict
from glotclip.errors import ConfigError, DataError, LanguageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

GPL = "Available under the terms of the GNU General Public License ver. 2.0 and any later version."
WORDS = {"Hund": "dog", "Katze": "cat", "Vogel": "bird", "Haus": "house", "Sonne": "sun", "Blume": "flower"}


def entries(words: dict[str, str]) -> list[tuple[str, str]]:
    return [(one.lower(), f"{one} <n>\n{other}\n") for one, other in words.items()]


@pytest.fixture
def dictionaries(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two dictionaries of German, one each way, and one that has no English side."""
    monkeypatch.setattr(freedict, "SYSTEM", desk.root)
    desk.dictd("freedict-deu-eng", entries(WORDS), GPL)
    desk.dictd("freedict-eng-deu", entries({"dog": "Hund", "tree": "Baum"}), GPL)
    desk.dictd("freedict-deu-fra", entries({"Hund": "chien"}), GPL)
    return desk.root


def test_both_directions_join_each_pair_once(dictionaries: Path) -> None:
    data = open_dataset("freedict")
    assert data.languages() == ["de"]
    corpus = data.corpus(["de"])
    assert [(row.text, row.english, row.lang) for row in corpus.rows] == [
        *((text, english, "de") for text, english in WORDS.items()), ("Baum", "tree", "de"),
    ]  # fmt: skip
    assert "freedict-eng-deu goes from English into de; it is turned round" in corpus.notes
    assert any("grammar marks 8" in note and "pairs that are there before 1" in note for note in corpus.notes)
    assert any("7 pairs are too few" in note for note in data.notes(["de"]))
    assert data.held_out(["de"]) is None and data.counts() == {"pairs de": 7}
    assert [(each.name, each.licence) for each in data.licences(["de"])] == [
        ("freedict-deu-eng", "GPL-2.0-or-later"), ("freedict-eng-deu", "GPL-2.0-or-later"),
    ]  # fmt: skip
    assert corpus.licence == "GPL-2.0-or-later"
    assert [row.lang for row in data.corpus(["de-AT"]).rows[:1]] == ["de-AT"]


def test_a_language_that_is_not_there_names_the_command(dictionaries: Path) -> None:
    with pytest.raises(LanguageError, match="no FreeDict dictionary of fr and English here; found: de") as caught:
        open_dataset("freedict").corpus(["fr"])
    assert "glotclip data get freedict --lang fr" in caught.value.hint
    with pytest.raises(ConfigError, match="--default-lang has no meaning"):
        open_dataset("freedict", default_lang="de")


def test_what_was_fetched_is_found_first(dictionaries: Path, desk: Desk) -> None:
    folder = freedict.fetched_folder() / "freedict-deu-eng"
    folder.mkdir(parents=True)
    for path in (desk.dictd("other", entries({"Mond": "moon"})), desk.root / "other.dict.dz"):
        (folder / path.name.replace("other", "freedict-deu-eng")).write_bytes(path.read_bytes())
    (folder / "freedict-deu-eng.copyright").write_text("Files: deu-eng/*\nLicense: AGPL-3\n")
    data = open_dataset("freedict")
    assert {row.text for row in data.corpus(["de"]).rows} == {"Mond", "Hund", "Baum"}
    assert data.licences(["de"])[0].licence == "AGPL-3.0-only"  # the dictionary itself says nothing


@pytest.mark.parametrize("ending", [".index", ".dict.dz"])
def test_one_dictionary_is_opened_by_either_file(dictionaries: Path, ending: str) -> None:
    data = open_dataset(dictionaries / f"freedict-deu-eng{ending}")
    assert data.languages() == ["de"] and len(data.corpus(["de"])) == len(WORDS)
    assert {path.name for path in data.sources} == {"freedict-deu-eng.index", "freedict-deu-eng.dict.dz"}
    assert data.licences(["de"])[0].url == "https://freedict.org"


def test_a_dictionary_of_another_language_is_named(dictionaries: Path, desk: Desk) -> None:
    with pytest.raises(LanguageError, match="has no captions in fi") as caught:
        open_dataset(dictionaries / "freedict-deu-eng.index").corpus(["fi"])
    assert "it has: de" in caught.value.hint
    with pytest.raises(LanguageError, match="is of de and fr"):
        open_dataset(dictionaries / "freedict-deu-fra.index").languages()
    mine = desk.dictd("mine", entries(WORDS))
    with pytest.raises(DataError, match="does not say its languages"):
        open_dataset(mine).languages()
    assert open_dataset(mine, default_lang="deu").languages() == ["de"]
