"""The guess: script first, then the packs' texts; unsure where nothing speaks for any language."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.packs.guess import Guesser, GuessSettings
from glotclip.packs.language_profile import Profile, built_in

GERMAN = ["der Hund", "eine schwarze Katze", "das rote Haus", "ein Baum", "die Sonne scheint", "zwei Fische"]
FRENCH = ["le chien", "un chat noir", "la maison rouge", "un arbre", "le soleil brille", "deux poissons"]
CHINESE = ["狗", "黑猫", "红色的房子", "一棵树", "太阳", "两条鱼"]
JAPANESE = ["犬", "黒い猫", "赤い家", "木", "太陽が輝く", "二匹の魚"]
PROFILES = {
    "en": built_in("en"),
    "de": Profile.learn(GERMAN),
    "fr": Profile.learn(FRENCH),
    "zh": Profile.learn(CHINESE),
    "ja": Profile.learn(JAPANESE),
}
#: A language and a word of it; every one has its script to itself among these.
OWN = [
    ("el", "σκύλος"), ("he", "כלב"), ("ru", "собака"), ("ar", "كلب"), ("th", "หมา"), ("hi", "कुत्ता"), ("ka", "ძაღლი"),
    ("hy", "շուն"), ("ko", "개"), ("ta", "நாய்"), ("te", "కుక్క"), ("kn", "ನಾಯಿ"), ("ml", "നായ"), ("bn", "কুকুর"),
    ("gu", "કૂતરો"), ("pa", "ਕੁੱਤਾ"), ("si", "බල්ලා"), ("my", "ခွေး"), ("km", "ឆ្កែ"), ("lo", "ໝາ"), ("am", "ውሻ"),
    ("zh", "狗"), ("ii", "ꈌ"), ("chr", "ᎩᎵ"), ("or", "କୁକୁର"), ("dv", "ކުއްތާ"), ("bo", "ཁྱི"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "word"), OWN)
@pytest.mark.parametrize("known", [True, False])
def test_a_script_of_its_own_decides_at_any_length(code: str, word: str, known: bool) -> None:
    guesser = Guesser({each: (PROFILES.get(each) if known else None) for each in ("de", *dict(OWN), "en")})
    for text in (word, word[0], f"{word} {word} 123!", f"USB {word}", f"\u200f{word}"):
        (guess,) = guesser.guess([text])
        assert (guess.lang, guess.sure, dict(guess.likely)) == (code, True, {code: 1.0}), text


def test_the_dog_of_the_issue() -> None:
    profiles = {code: PROFILES[code] for code in ("de", "en", "zh")}
    for known in (profiles, dict.fromkeys(profiles)):
        assert [guess.lang for guess in Guesser(known).guess(["狗", "犬", "黑"])] == ["zh", "zh", "zh"]


def test_among_one_script_the_texts_of_the_packs_decide() -> None:
    guesser = Guesser(PROFILES)
    texts = ["schwarzer Hund", "chien noir", "a black dog", "黒い犬", "两只黑猫", "ねこ"]
    assert [guess.lang for guess in guesser.guess(texts)] == ["de", "fr", "en", "ja", "zh", "ja"]


@pytest.mark.parametrize(
    ("text", "lang"), [("们", "zh"), ("鸡", "zh"), ("雞", "zh-Hant"), ("辻", "ja"), ("働", "ja")]
)
def test_each_country_has_its_characters(text: str, lang: str) -> None:
    profiles = {"zh": PROFILES["zh"], "zh-Hant": Profile.learn(["黑貓"]), "ja": PROFILES["ja"]}
    assert Guesser(profiles).guess([text])[0].lang == lang


@pytest.mark.parametrize("text", ["", "123", "😀", "…", " \n", "\u200f", "ไทย", "\ud83d"])
@pytest.mark.parametrize("known", [True, False])
def test_without_evidence_the_guess_is_unsure_and_the_first_is_the_first_given(text: str, known: bool) -> None:
    guesser = Guesser({code: (PROFILES[code] if known else None) for code in ("en", "zh", "de")})
    (guess,) = guesser.guess([text])
    assert (guess.lang, guess.sure) == ("en", False)
    assert list(guess.probabilities.values()) == pytest.approx([1 / 3] * 3)
    assert set(guess.likely) == {"en", "zh", "de"}


@pytest.mark.slow
@given(st.text(max_size=40), st.sets(st.sampled_from([*PROFILES, "ru", "ko", "x-mine"]), min_size=1))
def test_any_text_has_probabilities_among_the_candidates(text: str, codes: set[str]) -> None:
    guesser = Guesser({code: PROFILES.get(code) for code in sorted(codes)})
    first, second = guesser.guess([text, text])
    assert first == second
    assert set(first.probabilities) == codes
    assert sum(first.probabilities.values()) == pytest.approx(1)
    assert sum(first.likely.values()) == pytest.approx(1)
    assert set(first.likely) <= codes
    assert first.lang == next(iter(first.probabilities))
    shares = list(first.probabilities.values())
    assert shares == sorted(shares, reverse=True)
    assert first.sure == (shares[0] >= guesser.settings.margin) == (first.likely == {first.lang: 1.0})


def test_below_the_margin_the_likely_ones_are_fused() -> None:
    shares = Guesser(PROFILES).guess(["hund"])[0].probabilities
    narrow = GuessSettings(margin=1.1, likely=0.0, fused=2)
    (guess,) = Guesser(PROFILES, narrow).guess(["hund"])
    assert not guess.sure
    (first, one), (second, two) = list(shares.items())[:2]
    assert guess.likely == {first: pytest.approx(one / (one + two)), second: pytest.approx(two / (one + two))}
    (alone,) = Guesser(PROFILES, GuessSettings(margin=1.1, likely=0.5)).guess(["hund"])
    assert alone.likely == {"de": 1.0}


def test_a_pack_taught_in_another_script_is_known_by_its_texts() -> None:
    latin = Profile.learn(["crni pas", "crvena kuća", "dva drveta"])
    (guess,) = Guesser({"ru": None, "sr": latin}).guess(["crvena kuća"])
    assert (guess.lang, guess.sure) == ("sr", True)


def test_a_language_without_profile_keeps_the_detectors_share(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["die Katze sitzt auf dem Tisch und schläft", "le chat est assis sur la table"]
    unknown = Guesser({"fr": None, "de": None})
    assert [guess.lang for guess in unknown.guess(texts)] == ["de", "fr"]
    assert Guesser({"en": None, "zh-Hant": None}).guess(["这是一只猫"])[0].lang == "zh-Hant"
    mixed = Guesser({"en": PROFILES["en"], "fr": None, "de": PROFILES["de"]})
    assert [guess.lang for guess in mixed.guess(texts)] == ["de", "fr"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    flat = unknown.guess(texts)
    assert [(guess.lang, guess.sure) for guess in flat] == [("fr", False), ("fr", False)]


def test_nothing_optional_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        assert "langid" not in name
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert [guess.lang for guess in Guesser(PROFILES).guess(["schwarzer Hund", "狗"])] == ["de", "zh"]


def test_a_long_text_is_guessed_from_its_beginning() -> None:
    (guess,) = Guesser(PROFILES).guess(["der schwarze Hund " * 2000])
    assert guess.lang == "de"
    assert np.isfinite(list(guess.probabilities.values())).all()


LISTED = {"de": lambda text: float("hund" in text.lower()), "en": lambda text: float(text in ("dog", "gift"))}


def test_words_that_a_language_is_known_to_have_decide_where_spelling_does_not() -> None:
    profiles = {code: PROFILES[code] for code in ("en", "de", "fr")}
    plain, telling = Guesser(profiles), Guesser(profiles, listed=LISTED)
    for text, lang in (("Hund", "de"), ("Bluthund", "de"), ("dog", "en")):
        before, after = (guesser.guess([text])[0].probabilities[lang] for guesser in (plain, telling))
        assert after > before and telling.guess([text])[0].lang == lang
    # What is in nobody's words is guessed as before.
    assert telling.guess(["xyzzy"]) == plain.guess(["xyzzy"])


def test_where_the_letters_decide_no_glossary_is_read() -> None:
    def unread(text: str) -> float:
        raise AssertionError(text)

    profiles = {code: PROFILES[code] for code in ("de", "zh")}
    assert Guesser(profiles, listed=dict.fromkeys(profiles, unread)).guess(["狗"])[0].lang == "zh"


@given(st.text(max_size=30), st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=3, max_size=3))
def test_probabilities_add_up_whatever_is_known(text: str, known: list[float]) -> None:
    profiles = {code: PROFILES[code] for code in ("en", "de", "fr")}
    listed = {code: (lambda _, share=share: share) for code, share in zip(profiles, known, strict=True)}
    shares = Guesser(profiles, listed=listed).probabilities(text)
    assert np.isfinite(shares).all() and shares.sum() == pytest.approx(1)
