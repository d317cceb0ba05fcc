# ruff: noqa: E501 -- tables
"""One form for texts that read alike: examples of every kind, and what holds for any string."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glotclip.errors import ConfigError
from glotclip.textforms import TextForm, form_for, form_named, visible

FORM = TextForm()
INVISIBLE = "\u00ad\u034f\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202e\u2060\u2064\u2066\u2069\ufeff\ufe0e\ufe00\x00\x7f\ufffc"

# Words as people write them: their form is what they are.
NORMAL = {
    "en": ["dog", "woman's hat", "black cat, 3-4 years", "café au lait", "m² of $5 ™", "½ cup", "❤️ 👩‍🚀 🏴󠁧󠁢󠁥󠁮󠁧󠁿 1️⃣ 🇩🇪 Ⓜ️ ℹ️ ㊙️"],
    "de": ["Straße", "grüner Frosch"],
    "fa": ["سگ سیاه", "کتاب\u200cها", "می\u200cخواهم"],
    "ar": ["كلب اسود"],
    "ug": ["ئىت يوق"],  # ى and ي are two letters here
    "hi": ["लाल वृत्त", "क्\u200dष", "क्\u200cष"],
    "si": ["ශ්\u200dරී"],
    "bn": ["র\u200d\u09cdয"],
    "th": ["น้ำเงิน", "แมวดำ"],
    "my": ["ခွေး"],
    "km": ["ឆ្កែ"],
    "ja": ["黒い猫", "コーヒー"],
    "ko": ["검은 고양이"],
    "zh": ["黑貓", "黑猫。"],
    "vi": ["chó đen", "hoà bình", "quý"],
    "ru": ["черная собака", "йод"],
    "be": ["чорны вожык ё"],  # ё is a letter that is always written
    "mk": ["куќа", "ѓон"],
    "tr": ["kırmızı inek"],
    "he": ["כלב שחור"],
    "el": ["μαυροσ σκυλοσ"],
    "mn": ["нохой"],
}  # fmt: skip

SAME = [
    # language, written, form
    ("en", "\u200fdog", "dog"), ("en", "do\u00adg", "dog"), ("en", "ｄｏｇ", "dog"), ("en", "𝓭𝓸𝓰", "dog"), ("en", "ⓓⓞⓖ", "dog"),
    ("en", "ﬁsh", "fish"), ("en", "woman’s hat", "woman's hat"), ("en", "womanʼs ′hat′", "woman's 'hat'"),
    ("en", "“red” «car»", '"red" "car"'), ("en", "3–4 ‑ 5", "3-4 - 5"), ("en", "rock`n´roll", "rock'n'roll"),
    ("en", "red\u00a0\u3000\u2009\u2028car\t ", "red car"), ("en", "AT&amp;amp;T &lt;3", "AT&T <3"), ("en", "&#x64;og", "dog"),
    ("en", "cafÃ© â€“ red", "café - red"), ("en", "cafe\u0301", "café"), ("en", "re\x00d\x1b[31m", "red"), ("en", "İstanbul", "Istanbul"),
    ("en", "\ufeffdo\u200dg\ufe0f", "dog"), ("en", "dog\ufffc", "dog"), ("en", "\ud800dog", "\ufffddog"), ("en", "❤︎", "❤"),
    ("de", "Auf\u200clage", "Auflage"), ("fr", "Âne \u00adbœuf", "Âne boeuf"), ("fr", "Â\u00adne", "Âne"),
    ("ar", "قـــطـة", "قطه"), ("ar", "ﻗﻄﺔ", "قطه"), ("ar", "قِطَّةٌ", "قطه"), ("ar", "أحمر", "احمر"), ("ar", "کلب", "كلب"), ("ar", "ﷲ", "الله"),
    ("ar", "ﻻ ١٢٣", "لا 123"),
    ("fa", "سگ سياه كوچك", "سگ سیاه کوچک"), ("fa", "می\u200f\u200c\u200cخواهم", "می\u200cخواهم"), ("fa", "سگ\u200c", "سگ"), ("fa", "۱۲۳", "123"),
    ("fa", "خانهٔ", "خانه"), ("ur", "كتا سياه", "کتا سیاہ"), ("ps", "گل ي", "ګل ی"), ("ckb", "ه\u200cي", "ەی"), ("sd", "یك", "يڪ"),
    ("ja", "ﾈｺ ｶﾞ ﾊﾟ", "ネコ ガ パ"), ("ja", "か゛は゜", "がぱ"), ("ja", "コ－ヒ－", "コーヒー"), ("ja", "㈱１２㌔", "㈱12キロ"), ("ja", "か\u3099", "が"),
    ("zh", "⽝", "犬"), ("zh", "ＣＤ，３", "CD,3"), ("ko", "\u1112\u1161\u11ab", "한"), ("ko", "ㅤ고양이ㅤ", "고양이"),
    ("tr", "KIRMIZI İNEK", "KıRMıZı iNEK"), ("tr", "șapka", "şapka"), ("tr", "i\u0307nek", "inek"), ("az", "İt ǝ ә", "it ə ə"),
    ("ro", "ştiinţă", "știință"), ("lv", "k\u0326", "ķ"), ("vi", "hòa thúy", "hoà thuý"), ("vi", "a\u0303\u0302", "ẫ"), ("vi", "Ðen", "Đen"),
    ("hr", "ǆep ð", "džep đ"), ("ca", "coŀlegi col•legi", "col·legi col·legi"), ("uz", "oʻ o` gʼ", "o' o' g'"), ("haw", "ʻōʻū", "'ō'ū"),
    ("nl", "ĳs", "ijs"), ("el", "ΜΑΎΡΟΣ σκύλος ΐ", "ΜΑΥΡΟΣ σκυλοσ ι"), ("he", "כֶּלֶב", "כלב"), ("he", "כֶּלֶב", "כלב"), ("he", "צה״ל־א", 'צה"ל-א'),
    ("ru", "соба́ка жёлтый", "собака желтый"), ("uk", "п’ять пʼять", "п'ять п'ять"), ("bg", "ѝ", "и"),
    ("hi", "क़लम हँस", "कलम हंस"), ("hi", "\u0958", "क"), ("bn", "ত্\u200d \u09df", "ৎ \u09af\u09bc"), ("ml", "അവന്\u200d", "അവൻ"),
    ("mr", "र्\u200dय", "ऱ्य"), ("th", "นํ้า นํา เเมว ๕", "น้ำ นำ แมว 5"), ("th", "แมว\u200bดำ", "แมวดำ"), ("lo", "ນໍ້າ ໜ", "ນ້ຳ ຫນ"), ("km", "ឆ្កែ\u200bខ្មៅ", "ឆ្កែខ្មៅ"),
    ("am", "ሠላም፡ሐመር", "ሰላም ሀመር"), ("hy", "և", "եւ"),
]  # fmt: skip


@pytest.mark.parametrize(("lang", "text"), [(lang, text) for lang, texts in NORMAL.items() for text in texts])
def test_normal_text_stays(lang: str, text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    assert FORM(text, lang) == text


@pytest.mark.parametrize(("lang", "written", "form"), SAME)
def test_what_reads_alike_is_one(lang: str, written: str, form: str) -> None:
    assert FORM(written, lang) == unicodedata.normalize("NFC", form)


def test_a_region_or_script_changes_nothing() -> None:
    assert FORM("KIZIL", "tr-CY") == FORM("KIZIL", "tr") == "KıZıL"


LANGUAGES = sorted({*NORMAL, *(lang for lang, *_ in SAME), "tk", "ku", "yi", "as", "ks", "ne", "gag", "mo"})

WILD = st.text(
    st.one_of(
        st.sampled_from(INVISIBLE + "\u200c\u200d\ufe0f\u180b\u180e\U000e0067\U000e007f\u0640&;<>`´'’\u3099ﾞ゛\u0301\u0307 \u0085"),
        st.sampled_from("aIİıßÃÂ©â€ǅﬁ２ⅣΣς한ｶかコー貓ักำเनक्ा़രന്ബাሠԵيىكهةﻻאֶ✌🏽👩🚀🏴❤1©⃣"),
        st.characters(),  # lone surrogates among them
    ),
    max_size=24,
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=2000)
@example("¢Àá\x1f\x83«", "am", "unicode-1+curly")  # with its mark curled, "áƒ”" looks like UTF-8 that was misread
@given(
    WILD,
    st.sampled_from(LANGUAGES),
    st.sampled_from(["unicode-1", "unicode-1+simplified", "unicode-1+latin", "unicode-1+curly"]),
)
def test_a_form_is_found_once_and_nothing_visible_vanishes(text: str, lang: str, name: str) -> None:
    form = form_named(name)
    once = form(text, lang)
    assert form(once, lang) == once
    assert visible(once) == visible(text)
    assert once == once.strip()
    once.encode("utf-8")


@settings(max_examples=300)
@given(st.data())
def test_what_is_not_seen_changes_nothing(data: st.DataObject) -> None:
    lang = data.draw(st.sampled_from(sorted(NORMAL)))
    text = data.draw(
        st.sampled_from(
            [each for each in NORMAL[lang] if each.isalpha() or each.replace(" ", "").isalpha()] or ["dog"]
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(st.sampled_from(INVISIBLE)) + text[place:]
    plain = "".join(sign for sign in text if sign not in INVISIBLE)
    assert FORM(text, lang) == FORM(plain, lang)


def test_none_leaves_texts_as_they_are() -> None:
    assert form_named("none")("\u200fdo\u00adg ", "en") == "\u200fdo\u00adg "


@pytest.mark.parametrize("name", ["unicode-9", "", "none+latin", "unicode-1+upside-down"])
def test_an_unknown_form_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown form"):
        form_named(name)


def test_a_base_may_have_learnt_curly_apostrophes() -> None:
    form = form_named("unicode-1+curly")
    assert {form(text, "en") for text in ("woman's hat", "woman’s hat", "womanʼs hat")} == {"woman’s hat"}
    said = ("“here” button", '"here" button', "«here» button")
    assert {form(text, "en") for text in said} == {"“here” button"}


def test_the_form_of_a_run() -> None:
    assert form_for("de", folds="all") == TextForm("unicode-1")
    assert form_for("zh", folds="all").name == "unicode-1+simplified"
    assert form_for("zh", "none", "simplified").name == "none"
    english = form_for("tr", english=True)
    assert english.name == "unicode-1+english" and english("KIRMIZI", "tr") == "KIRMIZI"
