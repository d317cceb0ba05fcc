"""Profiles of languages: what they count, that they come back as they were, and the model against its formula."""

from __future__ import annotations

import math
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import GlotclipError
from glotclip.packs import language_profile
from glotclip.packs.language_profile import NgramModel, Profile, built_in, plain, read_profiles, write_profiles

TEXTS = ["roter Kreis", "rotes Rad", "Hund", "der Hund läuft"]
anything = st.lists(st.text(max_size=12), max_size=8)


def test_sequences_end_at_every_character_and_are_counted() -> None:
    profile = Profile.learn(["Ab", "ab c"])
    assert profile.counts == {
        " ": 3, "a": 2, " a": 2, "b": 2, "ab": 2, " ab": 2, "b ": 2, "ab ": 2, " ab ": 2,
        "c": 1, " c": 1, "c ": 1, " c ": 1, "b c": 1, "ab c": 1, "b c ": 1,
    }  # fmt: skip


@given(anything)
def test_a_profile_comes_back_from_its_record_in_its_order(texts: list[str]) -> None:
    profile = Profile.learn(texts)
    again = Profile.of(profile.record())
    assert list(again.counts.items()) == list(profile.counts.items())
    assert len(profile.counts) <= language_profile.KEPT
    assert all(1 <= len(sequence) <= language_profile.ORDER for sequence in profile.counts)


@given(st.text(max_size=30))
def test_plain_text_is_its_own_plain_text(text: str) -> None:
    once = plain(text)
    assert plain(once).split() == once.split()
    assert once[0] == once[-1] == " "
    assert "\u200f" not in once


def test_the_same_texts_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    for name, texts in (("a", TEXTS), ("b", TEXTS[::-1])):
        write_profiles(tmp_path / name, {"fr": Profile.learn(["un"]), "de": Profile.learn(texts)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_profiles(tmp_path / "a")["de"] == Profile.learn(TEXTS)


def test_the_commonest_are_kept_and_long_data_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_profile, "KEPT", 3)
    assert list(Profile.learn(["aa", "ab"]).counts.items()) == [("a", 3), (" ", 2), (" a", 2)]
    monkeypatch.setattr(language_profile, "TEXTS", 2)
    assert Profile.learn(["x", "y", "z"]) == Profile.learn(["x", "z"])


def test_joined_profiles_count_both() -> None:
    assert Profile.learn(TEXTS[:2]).joined(Profile.learn(TEXTS[2:])) == Profile.learn(TEXTS)


@pytest.mark.parametrize(
    "content",
    ["[]", "{", '{"de": 3}', '{"de": [{"1": "a"}, {"2": "abc"}]}', '{"de": [{"x": "a"}]}', '{"de": [{"0": "a"}]}'],
)
def test_a_damaged_file_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "profile.json").write_text(content, encoding="utf-8")
    with pytest.raises(GlotclipError, match=r"profile\.json"):
        read_profiles(tmp_path / "profile.json")


def by_hand(counts: Counter[str], text: str) -> float:
    """Witten–Bell, written out from the definition, without any table."""

    def probability(history: str, letter: str) -> float:
        lower = probability(history[1:], letter) if history else 1 / 5000
        follow = [n for s, n in counts.items() if len(s) == len(history) + 1 and s[:-1] == history]
        if not follow:
            return lower
        return (counts[history + letter] + len(follow) * lower) / (sum(follow) + len(follow))

    seen = plain(text)
    return sum(math.log(probability(seen[max(0, at - 3) : at], seen[at])) for at in range(1, len(seen)))


@given(anything, anything, st.text(alphabet="abnu dHöа狗", max_size=8))
def test_likelihoods_are_the_formula(one: list[str], other: list[str], text: str) -> None:
    profiles = [Profile.learn(one), Profile.learn([*other, "Hund"])]
    found = NgramModel(profiles).log_likelihood(plain(text))
    wanted = [by_hand(Counter(profile.counts), text) for profile in profiles]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_threads_agree() -> None:
    texts = [plain(f"der {word} läuft") for word in ("Hund", "Kreis", "Rad", "Bär", "Öl") * 40]
    profiles = [Profile.learn(TEXTS), Profile.learn(["the dog runs"])]
    alone = NgramModel(profiles)
    wanted = [alone.log_likelihood(text) for text in texts]
    model = NgramModel(profiles)
    wrong: list[str] = []

    def work() -> None:
        found = [model.log_likelihood(text) for text in texts]
        rows = zip(texts, found, wanted, strict=True)
        wrong.extend(text for text, value, right in rows if not np.array_equal(value, right))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_english_is_built_in() -> None:
    english = built_in("en")
    assert english is not None
    assert english.counts[" dog"[:4]] > 0
    assert built_in("tlh") is None
