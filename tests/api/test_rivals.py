"""Rivals: how they are named, what each encodes, and that they are scored on the same texts as the model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import glotclip
from glotclip.api.rivals import DictionaryEncoder, Rival, rivals_of, taught_words, training_rows
from glotclip.data.dictionary import Dictionary
from glotclip.errors import ConfigError, DataError
from glotclip.models.checkpoints import save_base
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from tests.conftest import MakeBase


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("base", [Rival("base")]),
        ("base,base:photo-e5 , dictionary", [Rival("base"), Rival("base", "photo-e5"), Rival("dictionary")]),
        (["dictionary:a,b.tsv", "base"], [Rival("dictionary", "a,b.tsv"), Rival("base")]),
        (
            "translate:de,fi=ctranslate2:x or apertium,base",
            [Rival("translate", "de,fi=ctranslate2:x or apertium"), Rival("base")],
        ),
        ((), []),
    ],
)
def test_how_rivals_are_written(written: str | Sequence[str], expected: list[Rival]) -> None:
    found = rivals_of(written)
    assert found == expected
    assert rivals_of([str(rival) for rival in found]) == found


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("dictionery:a.tsv", "did you mean 'dictionary'"),
        ("translate", "needs an engine"),
        ("base,base", "named twice"),
    ],
)
def test_what_is_no_rival(written: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        glotclip.evaluate("no-such-model", rivals=written)  # refused before a model is loaded
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_of_several_translations_the_first_weighs_most() -> None:
    class Place:
        def encode_text(self, texts: Sequence[str], lang: str) -> np.ndarray[Any, Any]:
            assert (list(texts), lang) == (["cock", "faucet", "hen"], "en")
            return np.eye(3)

    book = Dictionary([("Hahn", "cock"), ("Hahn", "faucet"), ("Henne", "hen")])
    features = DictionaryEncoder({"de": book}, Place()).encode_text(["Hahn", "Henne"], "de")
    np.testing.assert_allclose(features, np.array([[2 / 3, 1 / 3, 0], [0, 0, 1]]))


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A dictionary of two columns that does not say its language."""
    pairs = ["text,english", "rot,red", "grün,green", "blau,blue", "schwarz,black", "Kreis,circle", "Balken,bar"]
    (tmp_path / "words.csv").write_text("\n".join(pairs), encoding="utf-8")
    return tmp_path / "words.csv"


def test_training_rows_of_several_data(words: Path, drawn: Path) -> None:
    told: list[str] = []
    rows = training_rows([words], ["de", "en"], told.append)
    assert [row.text for row in rows["de"]][:2] == ["rot", "grün"] and "en" not in rows
    both = training_rows([words, drawn], ["de"], told.append)["de"]
    assert len(both) == 6 + 9  # of the twelve captions three are for testing
    assert taught_words({"de": both})["de"].know("BLAU, Balken")
    with pytest.raises(DataError, match="no column 'lang'"):
        training_rows([words], ["de", "fr"], told.append)
    assert told == []
    training_rows([drawn], ["de", "sw"], told.append)
    assert told == [f"{drawn} has no training texts in sw"]


@pytest.fixture
def result(drawn: Path, words: Path, make_base: MakeBase, tmp_path: Path) -> dict[str, Any]:
    """A model whose own languages are English and German, as a multilingual base would be."""
    save_base(make_base(7), tmp_path / "other")
    base = make_base()
    engine = f"translate:command:{sys.executable} -c 'import sys; sys.stdout.write(sys.stdin.read())'"
    rivals = ["base", f"base:{tmp_path / 'other'}", f"dictionary:{words}", engine]
    base.languages = ("en", "de")
    return glotclip.evaluate(
        Polyglot(base), drawn, ["de"], rivals=rivals, training_data=words, intervals=0, cache=tmp_path / "cache"
    )


def test_rivals_are_asked_the_same(result: dict[str, Any]) -> None:
    english, base, other, dictionary, translated = result["rivals"].values()
    assert list(result["rivals"])[:2] == ["English", "base"]
    assert list(result["languages"]) == ["de"] and list(english["languages"]) == ["en"]
    own = result["languages"]["de"]
    assert base["languages"]["de"] == own  # nothing was taught
    assert other["languages"]["de"] != own  # with its own features of the pictures
    assert "(de 6)" in dictionary["model"] and "translated into it by command" in translated["model"]
    sizes = {"known": 0, "unknown": 0}
    for rival in (result, base, other, dictionary, translated):
        subsets = rival["languages"]["de"]["subsets"]
        counts = {name: subsets[name]["text_to_image"]["n_queries"] for name in sizes if name in subsets}
        assert sum(counts.values()) == 3
        sizes = counts
    assert result["text_subsets"] == ["known", "unknown"]
    assert "known: all words" in result["protocol"]


def test_what_a_dictionary_needs(drawn: Path, make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base()
    model = Polyglot(base)
    with pytest.raises(ConfigError, match="no rival in English"):
        glotclip.evaluate(model, drawn, ["en"], rivals="dictionary", cache=tmp_path)
    base.languages = ("en", "de")
    model = Polyglot(base)
    with pytest.raises(DataError, match="no training data is named") as caught:
        glotclip.evaluate(model, drawn, ["de"], rivals="dictionary", cache=tmp_path)
    assert "--training-data" in caught.value.hint
    (tmp_path / "alone.csv").write_text("text,lang\nrot,de\n")
    with pytest.raises(DataError, match="no English counterpart"):
        glotclip.evaluate(model, drawn, ["de"], rivals=f"dictionary:{tmp_path / 'alone.csv'}", cache=tmp_path)
    with pytest.raises(DataError, match="has no pairs in de"):
        (tmp_path / "fr.csv").write_text("text,lang,english\nrouge,fr,red\n")
        glotclip.evaluate(model, drawn, ["de"], rivals=f"dictionary:{tmp_path / 'fr.csv'}", cache=tmp_path)
