from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.dataset import open_dataset
from glotclip.data.mixture import Mixture, described, names_of, open_data, parts_of
from glotclip.data.sources.caption_files import CaptionFiles
from glotclip.errors import ConfigError, LanguageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

WORDS = ["Hund\tdog", "Katze\tcat", "Haus\thouse", "Sonne\tsun"]


@pytest.fixture
def files(desk: Desk) -> tuple[Path, Path]:
    """A list of German words, and captions in German and French, some of them for testing."""
    rows = [
        f"{text}\t{lang}\t{english}\ttrain"
        for lang in ("de", "fr")
        for text, english in zip(desk.captions(lang), desk.captions("en"), strict=True)
    ]
    return desk.lines("deu-eng.tsv", WORDS), desk.lines("captions.tsv", ["text\tlang\tenglish\tsplit", *rows])


def test_rows_know_their_part_and_the_corpus_the_weights(files: tuple[Path, Path]) -> None:
    data = open_data([str(files[0]), f"{files[1]}=2"])
    assert isinstance(data, Mixture) and data.name == "deu-eng.tsv=1 + captions.tsv=2"
    corpus = data.corpus(["de"])
    assert corpus.weights == {"deu-eng.tsv": 1, "captions.tsv": 2}
    assert {part: sum(row.part == part for row in corpus.rows if row.lang == "de") for part in corpus.weights} == {
        "deu-eng.tsv": 4, "captions.tsv": 8,
    }  # fmt: skip
    assert set(data.languages()) == {"de", "fr"} and set(data.sources) == set(files)
    assert "of every batch 33% deu-eng.tsv, 67% captions.tsv" in data.notes(["de"])
    assert {each.name for each in data.licences(["de"])} == {"deu-eng.tsv", "captions.tsv"}
    assert corpus.select(lang="de").weights == corpus.weights


def test_one_source_is_opened_as_it_always_was(files: tuple[Path, Path]) -> None:
    for data in (files[1], [files[1]], {str(files[1]): 3}, [f"{files[1]}=3"]):
        opened = open_data(data)
        assert type(opened) is CaptionFiles and opened.corpus(["de"]).weights == {}
        assert opened.corpus(["de"]).rows == open_dataset(files[1]).corpus(["de"]).rows


def test_what_a_part_lacks_is_told_and_a_useless_part_refused(files: tuple[Path, Path]) -> None:
    data = open_data({str(files[0]): 1, str(files[1]): 1})
    assert "deu-eng.tsv has nothing in fr" in data.notes(["de", "fr"])
    assert {row.part for row in data.corpus(["de", "fr"]).rows if row.lang == "fr"} == {"captions.tsv"}
    with pytest.raises(LanguageError, match=r"deu-eng.tsv has no captions in fr"):
        data.corpus(["fr"])
    with pytest.raises(LanguageError, match="no captions in fi"):
        data.corpus(["de", "fi"])


def test_options_go_to_the_parts_that_use_them(files: tuple[Path, Path]) -> None:
    data = open_data([files[0], files[1]], hold_out=0.5)
    assert len(data.corpus(["de"])) == 4 + 16
    with pytest.raises(ConfigError, match="--images has no meaning for any of the sources"):
        open_data([files[0], files[0]], images=files[0].parent)
    with pytest.raises(ConfigError, match="cannot be set for a dataset that is open"):
        open_data(open_dataset(files[0]), encoding="utf-8")


def test_two_sources_of_one_name_are_told_apart(files: tuple[Path, Path], desk: Desk) -> None:
    twin = desk.lines("other/deu-eng.tsv", ["Mond\tmoon", "Baum\ttree"])
    assert open_data([files[0], twin]).corpus(["de"]).weights == {"deu-eng.tsv": 1, "deu-eng.tsv (2)": 1}


@given(
    st.lists(
        st.tuples(st.sampled_from(["freedict", "a.tsv", "tatoeba:dir"]), st.integers(1, 99)), min_size=1, max_size=4
    )
)
def test_weights_are_read_from_names(parts: list[tuple[str, int]]) -> None:
    assert parts_of([f"{name}={weight}" for name, weight in parts]) == parts
    assert names_of([f"{name}={weight}" for name, weight in parts]) == [name for name, _ in parts]
    assert parts_of([name for name, _ in parts]) == [(name, 1) for name, _ in parts]


def test_names_with_an_equals_sign_and_wrong_weights(tmp_path: Path) -> None:
    path = tmp_path / "a=2"
    path.write_text("x")
    assert parts_of(str(path)) == [(str(path), 1.0)]
    assert parts_of("run=best.tsv") == [("run=best.tsv", 1.0)]
    assert described({"a.tsv": 1, "b.tsv": 2.5}) == "a.tsv=1 + b.tsv=2.5"
    for wrong in ("a.tsv=0", {"a.tsv": -1.0}):
        with pytest.raises(ConfigError, match="is above 0"):
            parts_of(wrong)
    with pytest.raises(ConfigError, match="no data was named"):
        parts_of([])
