from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data import emoji
from glotclip.data.benchmark import Benchmark
from glotclip.data.schema import Caption
from glotclip.evaluation.taught import RULE, TaughtWords, divided


@pytest.mark.parametrize(
    ("taught", "text", "known"),
    [
        ("roter Panda|ein Hund", "ROTER Hund!", True),
        ("roter Panda", "roter Hund", False),
        ("Schwimmer", "Schwimmer(in)", False),
        ("Rothaus", "rot", False),  # a part of a word is not the word
        ("STRASSE", "Straße", True),
        ("ｆｕｌｌ", "Full", True),  # full-width letters
        ("tél. mobile", "téle\u0301phone", False),
        ("हाथी का बच्चा", "बच्चा हाथी", True),  # vowel signs belong to the word
        ("हाथी", "हाथ", False),
        ("红茶|苹果", "红苹果", False),  # nothing taught ends in 红 or has 红苹
        ("红色|苹果", "苹果红色", True),  # the pair between the two words need not occur
        ("红色", "红", True),
        ("红色", "苹", False),
        ("ช้างเผือก|แมวดำ", "แมวดำ", True),
        ("ช้างเผือก", "แมวดำ", False),
        ("Tシャツ", "シャツ", True),  # where the script changes, a word ends
        ("agua 2 pesos", "2", True),
        ("agua", "agua 3", False),
    ],
)
def test_what_is_known(taught: str, text: str, known: bool) -> None:
    assert TaughtWords.of(taught.split("|")).know(text) is known


@given(st.lists(st.text(), max_size=5))
def test_what_was_taught_is_known_alone_and_together(texts: list[str]) -> None:
    words = TaughtWords.of(texts)
    assert all(map(words.know, texts))
    assert words.know(" ".join(texts))


def benchmark(**more: object) -> Benchmark:
    captions = [Caption("roter Hund", 0), Caption("roter Fuchs", 1), Caption("Hund", 2)]
    images = tuple(Path(f"{n}.png") for n in range(3))
    return Benchmark("three", images, {"de": captions, "fr": captions[:1]}, protocol="so", **more)  # type: ignore[arg-type]


def test_texts_are_divided_where_it_is_known_what_was_taught() -> None:
    made = divided(benchmark(), {"de": TaughtWords.of(["roter", "Hund"])})
    assert {name: mask.tolist() for name, mask in made.text_subsets["de"].items()} == {
        "known": [True, False, True],
        "unknown": [False, True, False],
    }
    assert made.text_subsets.keys() == {"de"}
    assert made.protocol == f"so; {RULE}"
    assert divided(benchmark(), {}).protocol == "so"


def test_of_concepts_never_taught_the_composable_ones_stand_apart() -> None:
    unseen = np.array([True, True, False])
    made = divided(benchmark(subsets={"unseen": unseen}), {"de": TaughtWords.of(["roter", "Hund"])})
    assert {name: mask.tolist() for name, mask in made.text_subsets["de"].items()} == {
        "unseen composable": [True, False, False],
        "unseen other": [False, True, False],
    }


@pytest.mark.parametrize(("lang", "composable"), [("de", 87), ("tr", 129), ("zh", 94)])
def test_emoji_names_whose_words_are_taught(lang: str, composable: int) -> None:
    split, named = emoji.concepts(), emoji.texts(lang)
    words = TaughtWords.of(each.name for concept, each in named.items() if split[concept] == "train")
    assert sum(words.know(each.name) for concept, each in named.items() if split[concept] == "test") == composable
