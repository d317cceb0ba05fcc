"""What engines share: answers are counted, texts and codes checked, versions told apart, pairs chained."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import ConfigError, DataError, LanguageError, MissingExtraError
from glotclip.translate.engine import (
    Pair,
    ask,
    available,
    digest,
    folder_digest,
    language_pair,
    one_line_each,
    package_version,
    pivots,
    through,
)


class Foreign:
    """An engine of other people, which knows one text."""

    name = "foreign"
    version = "1"

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        return ["  one\n two "]


def test_an_answer_is_one_line_and_another_number_of_answers_is_an_error() -> None:
    assert ask(Foreign(), ["eins zwei"], "de", "en") == ["one two"]
    with pytest.raises(DataError, match="foreign gave 1 answers to 2 texts"):
        ask(Foreign(), ["eins", "zwei"], "de", "en")


def test_what_cannot_be_translated() -> None:
    assert one_line_each(["a\n b", "c"]) == ["a b", "c"]
    with pytest.raises(DataError, match="text 2 of 2 is empty"):
        one_line_each(["a", " \n"])
    with pytest.raises(TypeError, match="not one string"):
        one_line_each("abc")
    assert language_pair("EN", "jp") == ("en", "ja")
    with pytest.raises(LanguageError):
        language_pair("en", "german")
    with pytest.raises(ConfigError, match="both 'ja'"):
        language_pair("jp", "ja")


def test_digests_tell_facts_apart() -> None:
    assert digest("a", 1) == digest("a", 1) != digest("a", 2)
    assert len(digest()) == 12


def test_a_folder_changes_with_any_of_its_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / "deep").mkdir()
    (folder / "deep" / "weights").write_bytes(b"1")
    before = folder_digest(folder)
    assert folder_digest(folder) == before
    (folder / "deep" / "weights").write_bytes(b"12")
    after = folder_digest(folder)
    assert after != before
    (folder / "more").touch()
    assert folder_digest(folder) not in (before, after)


def test_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    """Moved or copied it is the same model; changed under the same size and time it is another."""
    weights = tmp_path / "model" / "deep" / "weights"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"1")
    os.utime(weights, ns=(7, 7))
    before = folder_digest(tmp_path / "model")
    shutil.copytree(tmp_path / "model", tmp_path / "copy", copy_function=shutil.copyfile)
    (tmp_path / "model").rename(tmp_path / "moved")
    assert folder_digest(tmp_path / "copy") == folder_digest(tmp_path / "moved") == before
    moved = tmp_path / "moved" / "deep" / "weights"
    moved.write_bytes(b"2")
    os.utime(moved, ns=(7, 7))
    assert folder_digest(tmp_path / "moved") != before


def test_a_package_that_is_not_installed_is_named_with_its_extra() -> None:
    assert package_version("pytest", extra="dev") == pytest.__version__
    with pytest.raises(MissingExtraError) as caught:
        package_version("no-such-package", extra="mt")
    assert "glotclip[mt]" in caught.value.hint


def test_a_step_of_a_chain_leaves_out_what_the_one_before_had_no_answer_to() -> None:
    assert through(["a", "", "b"], lambda texts: [text.upper() for text in texts]) == ["A", "", "B"]


# --- chains of pairs: the shortest, checked against trying all of them ----------------------------------------------

CODES = ("en", "es", "ca", "fr", "it")
PAIRS = st.lists(st.sampled_from([(a, b) for a in CODES for b in CODES if a != b]), unique=True)


def shortest(pairs: list[Pair], source: str, target: str) -> int | None:
    """Length of the shortest chain, by trying every order of the languages between."""
    for between in range(len(CODES) - 1):
        for middle in permutations([code for code in CODES if code not in (source, target)], between):
            stops = (source, *middle, target)
            if all(pair in pairs for pair in pairwise(stops)):
                return between + 1
    return None


@given(PAIRS)
def test_the_shortest_chain_is_found_if_there_is_one(pairs: list[Pair]) -> None:
    wanted = shortest(pairs, "en", "fr")
    if wanted is None:
        with pytest.raises(LanguageError):
            pivots(pairs, "en", "fr", engine="x", hint="y")
        return
    chain = pivots(pairs, "en", "fr", engine="x", hint="y")
    assert len(chain) == wanted
    assert all(pair in pairs for pair in chain)
    assert chain[0][0] == "en"
    assert chain[-1][1] == "fr"
    assert all(first[1] == second[0] for first, second in pairwise(chain))


def test_a_region_is_met_by_the_plain_language_but_not_the_other_way_round() -> None:
    assert pivots([("en", "pt")], "en-GB", "pt-BR", engine="x", hint="y") == [("en", "pt")]
    assert available("zh-Hant-TW", ["zh", "zh-Hant"]) == "zh-Hant"
    with pytest.raises(LanguageError, match="from 'en' it reaches pt-BR"):
        pivots([("en", "pt-BR")], "en", "pt", engine="x", hint="y")


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(LanguageError, match="from 'en' it reaches es, ca"):
        pivots([("en", "es"), ("es", "ca"), ("fr", "it")], "en", "it", engine="apertium", hint="install it")
    with pytest.raises(LanguageError, match="does not know 'de'"):
        pivots([("en", "es")], "de", "es", engine="apertium", hint="install it")


@given(st.text(st.characters(categories=["Cs"]), min_size=1), st.text(st.characters(codec="utf-8")))
def test_half_a_character_is_no_text(half: str, rest: str) -> None:
    with pytest.raises(DataError, match=r"text 2 of 2 holds half a character \(U\+D[89A-F]..\)"):
        one_line_each(["whole", rest + half])
