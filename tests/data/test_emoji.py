from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data import emoji, emoji_images
from glotclip.errors import LanguageError


def test_the_concepts_are_fixed() -> None:
    concepts = emoji.concepts()
    assert len(concepts) == 1644
    assert Counter(concepts.values()) == {"train": 1150, "validation": 164, "test": 330}
    assert emoji.sign("1f600") == "😀"
    assert concepts[emoji_images.code_points("👍")] in ("train", "validation", "test")


def test_the_fourteen_languages_of_the_package_are_named_as_there() -> None:
    languages = emoji.languages()
    assert languages[:14] == ["en", "es", "ja", "ko", "pt", "it", "fr", "de", "fa", "id", "zh", "ru", "tr", "ar"]
    assert min(emoji.coverage(languages[:14]).values()) == 1.0
    assert emoji.texts("de")["1f44d"].name == "daumen hoch"
    assert emoji.texts("pt-BR") == emoji.texts("pt")
    assert {"+1", "thumbsup"} <= set(emoji.texts("en")["1f44d"].keywords)


def test_native_speakers_name_all_languages() -> None:
    assert len(set(emoji.languages("cldr"))) > 150 and set(emoji.languages("cldr")) <= set(emoji.languages())
    assert emoji.texts("de", "cldr")["1f44d"].name == "Daumen hoch"
    assert emoji.texts("sw")["1f44d"] == emoji.texts("sw", "cldr")["1f44d"]  # the package has no Swahili
    english = emoji.texts("en", "cldr")["1f44d"]
    assert english.name == "thumbs up" and {"hand", "+1"} <= set(english.keywords)
    assert emoji.texts("de", "cldr")["1f44d"].keywords == ()


def test_regions_inherit_and_override() -> None:
    german, swiss = emoji.texts("de", "cldr"), emoji.texts("de-CH", "cldr")
    assert emoji.texts("de-AT", "cldr") == german != swiss and list(german) == list(swiss)
    assert (
        emoji.texts("zh-TW", "cldr")["2600-fe0f"].name == emoji.texts("zh-Hant", "cldr")["2600-fe0f"].name == "太陽"
    )
    assert emoji.coverage(["tlh", "de"], "cldr") == {"tlh": 0.0, "de": 1.0}


@pytest.mark.slow
@given(st.sampled_from(emoji.languages("cldr")))
def test_every_name_is_a_text_of_a_concept_in_their_order(lang: str) -> None:
    named = emoji.texts(lang, "cldr")
    assert list(named) == [concept for concept in emoji.concepts() if concept in named]
    assert all(names.name == " ".join(names.name.split()) and names.name for names in named.values())


def test_a_language_without_names_is_an_error() -> None:
    with pytest.raises(LanguageError, match="no emoji names in 'tlh'") as caught:
        emoji.texts("tlh")
    assert "sw" in caught.value.hint


@pytest.mark.parametrize(
    ("lang", "chain"),
    [
        ("de", ["de", "de-Latn"]),
        ("de-AT", ["de-AT", "de", "de-Latn"]),
        ("zh-Hant-HK", ["zh-Hant-HK", "zh-Hant"]),
        ("zh-HK", ["zh-HK", "zh-Hant-HK", "zh-Hant"]),
        ("zh-Hans", ["zh-Hans", "zh"]),
        ("sr-Latn", ["sr-Latn"]),
        ("en-GB", ["en-GB", "en-001", "en", "en-Latn"]),
        ("es-MX", ["es-MX", "es-419", "es", "es-Latn"]),
        ("nb", ["nb", "nb-Latn", "no"]),
        ("nn-NO", ["nn-NO", "nn", "nn-Latn", "no"]),
    ],
)
def test_inheritance(lang: str, chain: list[str]) -> None:
    assert emoji.inheritance(lang) == chain
