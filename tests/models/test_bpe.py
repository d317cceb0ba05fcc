from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, cast, get_args

import pytest
import regex  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import ConfigError
from glotclip.models import bpe
from glotclip.textforms import well_formed

HINDI = ("एक कुत्ता घास पर दौड़ता है", "कुत्ता और बिल्ली", "हिन्दी में कुत्ता")


def test_byte_characters_are_one_to_one_and_visible() -> None:
    table = bpe.byte_characters()
    assert sorted(table) == list(range(256))
    assert len(set(table.values())) == 256
    assert table[ord("a")] == "a"
    assert table[ord(" ")] == "Ġ"
    assert not any(character.isspace() for character in table.values())


@given(st.text(), st.sampled_from(get_args(bpe.Splitting)))
def test_splitting_loses_nothing_but_white_space(text: str, splitting: bpe.Splitting) -> None:
    words = regex.findall(bpe.WORDS[splitting], text)
    assert "".join(words) == regex.sub(r"\s", "", text)


def test_marks_stay_with_their_letters() -> None:
    assert regex.findall(bpe.WORDS["clip"], "हिन्दी") != ["हिन्दी"]
    assert regex.findall(bpe.WORDS["marks"], "हिन्दी") == ["हिन्दी"]
    clip, marks = bpe.learn(HINDI * 5, 300, "clip"), bpe.learn(HINDI * 5, 300, "marks")
    word = "".join(bpe.byte_characters()[byte] for byte in "कुत्ता".encode()) + "</w>"
    assert word in marks.tokens
    assert word not in clip.tokens


def test_learn_counts_special_tokens_and_starts_from_bytes_seen() -> None:
    vocabulary = bpe.learn(["ab ab abc", "ab"], 9, "marks")
    assert vocabulary.tokens == ("a", "b", "c", "b</w>", "c</w>", "ab</w>", "ab")
    assert vocabulary.merges == (("a", "b</w>"), ("a", "b"))
    assert len(bpe.learn(["ab ab abc"], 8, "marks").tokens) == 6
    assert bpe.START not in vocabulary.tokens


def test_learn_needs_room_for_the_bytes() -> None:
    with pytest.raises(ConfigError, match="no room"):
        bpe.learn(["abc"], 5, "marks")
    with pytest.raises(ConfigError, match="splitting"):
        bpe.learn(["abc"], 50, cast(Any, "words"))


@pytest.mark.slow
def test_learn_is_the_same_in_every_process() -> None:
    code = (
        "from glotclip.models import bpe; import hashlib;"
        "texts = [f'word{i % 7} ähnlich {chr(97 + i % 26)}{chr(97 + i * 7 % 26)} über' for i in range(300)];"
        "print(hashlib.sha256(repr(bpe.learn(texts, 200, 'marks')).encode()).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(runs) == 1


def test_lone_surrogates_become_replacement_characters() -> None:
    assert well_formed("\ud83d dog") == "� dog"
    assert well_formed("👩 ok") == "👩 ok"
