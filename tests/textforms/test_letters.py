# ruff: noqa: E501 -- tables
"""Letters that are folded by script and language; each fold changes what it says and nothing else."""

from __future__ import annotations

import pytest

from glotclip.textforms import form_for, form_named
from glotclip.textforms.letters import ASCII_MATTERS, FOLDS, fold, long_vowels, plain_letters


@pytest.mark.parametrize(
    ("lang", "written", "plain"),
    [
        ("en", "İstanbul", "Istanbul"), ("tr", "IĞDIR İ", "ıĞDıR i"), ("ar", "قِطَّةٌ أحمر", "قطه احمر"), ("fa", "سياه كوچك", "سیاه کوچک"),
        ("ru", "ёж", "еж"), ("be", "ёж", "ёж"), ("el", "σκύλος", "σκυλοσ"), ("vi", "hòa", "hoà"), ("hi", "हँस", "हंस"),
        ("ro", "ştiinţă", "știință"), ("fr", "cœur", "coeur"), ("de", "cœur", "cœur"), ("th", "เเมว", "แมว"), ("am", "ሐመር", "ሀመር"),
    ],
)  # fmt: skip
def test_letters_of_a_language(lang: str, written: str, plain: str) -> None:
    assert plain_letters(written, lang) == plain
    assert plain_letters(plain, lang) == plain


def test_ascii_is_left_alone_but_where_it_matters() -> None:
    assert plain_letters("IT IS", "en") == "IT IS"
    assert "tr" in ASCII_MATTERS and plain_letters("IT", "tr") == "ıT"


def test_dashes_after_kana_are_long_vowels() -> None:
    assert long_vowels("コ－ヒ－ 3－4", "ja") == "コーヒー 3－4"
    assert long_vowels("コ－ヒ－", "zh") == "コ－ヒ－"


@pytest.mark.parametrize("name", FOLDS)
def test_a_fold_concerns_its_languages(name: str) -> None:
    texts = {"simplified": "漢語", "latin": "гора"}
    assert all(fold(texts[name], name, lang) != texts[name] for lang in FOLDS[name])


@pytest.mark.parametrize(
    ("lang", "text", "folded"),
    [
        ("zh", "黑貓 國旗", "黑猫 国旗"), ("zh-Hant", "漢語", "汉语"), ("yue", "紅色", "红色"),
        ("sr", "Црна мачка љубав Њ", "Crna mačka ljubav Nj"), ("uz", "қизил эчки ғоз ер", "qizil echki g'oz yer"),
        ("az", "гырмызы", "qırmızı"), ("tk", "гара пишик", "gara pişik"),
    ],
)  # fmt: skip
def test_scripts_are_folded_where_a_setting_says_so(lang: str, text: str, folded: str) -> None:
    assert form_for(lang, folds="none")(text, lang) != folded
    form = form_for(lang, folds="all")
    assert form_named(form.name) == form
    assert form(text, lang) == form(folded, lang) == folded


def test_a_fold_leaves_other_languages_alone() -> None:
    assert fold("貓", "simplified", "ja") == "貓"
    assert fold("Мачка", "latin", "ru") == "Мачка"
