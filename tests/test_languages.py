"""Language codes: one spelling each, and errors that help."""

from __future__ import annotations

import warnings

import langcodes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import LanguageError
from glotclip.languages import LanguageFallbackWarning, check_installed, normalise, normalise_all, resolve


@pytest.mark.parametrize(
    ("code", "normal"),
    [("de", "de"), (" DE ", "de"), ("jp", "ja"), ("cz", "cs"), ("ZH_hant", "zh-Hant"), ("pt_br", "pt-BR"),
     ("no", "no"), ("fil", "fil"), ("quz", "quz")],
)  # fmt: skip
def test_one_spelling(code: str, normal: str) -> None:
    assert normalise(code) == normal
    assert normalise(normal) == normal


@pytest.mark.parametrize("code", ["", "german", "xx-yy-zz-1", "de fr", "q"])
def test_what_is_no_code(code: str) -> None:
    with pytest.raises(LanguageError, match="unknown language code"):
        normalise(code)


def test_twice_is_an_error() -> None:
    assert normalise_all(["de", "jp"]) == ["de", "ja"]
    with pytest.raises(LanguageError, match="'ja' is given twice"):
        normalise_all(["jp", "ja"])


def test_installed_ones_are_named() -> None:
    assert check_installed("DE", ["en", "de"]) == "de"
    with pytest.raises(LanguageError, match="'pl' is not installed") as caught:
        check_installed("pl", ["en", "pt-BR"])
    assert "installed: en, pt-BR" in caught.value.hint
    with pytest.raises(LanguageError) as empty:
        check_installed("de", [])
    assert "none" in empty.value.hint


SAME = [
    ("de-AT", "en de", "de"), ("de-CH-1901", "de", "de"), ("en-US", "de en", "en"), ("en-AU", "en en-GB", "en-GB"),
    ("zh-CN", "en zh", "zh"), ("zh_Hans_CN", "zh", "zh"), ("zh-SG", "zh-Hant zh", "zh"), ("cmn", "zh", "zh"),
    ("zh-TW", "zh zh-Hant", "zh-Hant"), ("zh-HK", "zh zh-TW", "zh-TW"), ("zh", "zh-TW zh-CN", "zh-CN"),
    ("pt-BR", "pt-PT pt", "pt"), ("pt", "pt-PT pt-BR", "pt-BR"), ("pt-PT", "pt-BR", "pt-BR"),
    ("es-MX", "es es-419", "es-419"), ("es", "es-MX", "es-MX"), ("iw", "he", "he"), ("he", "iw", "iw"),
    ("in", "id", "id"), ("fil", "tl", "tl"), ("tl", "fil", "fil"), ("mo", "ro", "ro"), ("nb", "no", "no"),
    ("no", "da nn nb", "nb"), ("no-NO", "nb", "nb"), ("sh", "sr sr-Latn", "sr-Latn"), ("jp", "ja", "ja"),
    ("swh", "sw", "sw"), ("prs", "fa", "fa"), ("sr-Cyrl-RS", "sr-Latn sr", "sr"), ("EN_us", "en", "en"),
]  # fmt: skip
FAR = [
    ("zh-TW", "en zh", "zh"), ("zh", "zh-Hant", "zh-Hant"), ("sr-Latn", "hr sr", "sr"), ("sr", "sr-Latn", "sr-Latn"),
    ("nn", "da nb", "nb"), ("nb", "nn", "nn"), ("sh", "sr", "sr"), ("sh", "sr hr", "hr"), ("hbs", "bs sr", "bs"),
]  # fmt: skip
OTHER = [
    ("de", "nl lb gsw"), ("nb", "da sv"), ("nn", "da"), ("uz-Cyrl", "uz"), ("pa-Arab", "pa"), ("hi-Latn", "hi"),
    ("ur", "hi"), ("hr", "sr bs"), ("id", "ms"), ("uk", "ru"), ("gl", "es pt"), ("ca", "es"), ("yue", "zh"),
    ("und", "en"), ("mul", "en"), ("zxx", "en"), ("x-mine", "en"), ("tlh", "en"), ("zh-Latn", "zh"), ("pl", ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "there", "found"), SAME)
def test_the_same_language_is_found_under_another_code(code: str, there: str, found: str) -> None:
    assert resolve(code, there.split()) == found
    assert resolve(code, there.split(), near=True) == found


@pytest.mark.parametrize(("code", "there", "found"), FAR)
def test_another_script_or_written_form_is_the_last_resort(code: str, there: str, found: str) -> None:
    assert resolve(code, there.split()) == found
    assert resolve(code, there.split(), near=True) is None


@pytest.mark.parametrize(("code", "there"), OTHER)
def test_another_language_never_serves(code: str, there: str) -> None:
    assert resolve(code, there.split()) is None
    with pytest.raises(LanguageError, match="is not installed"):
        check_installed(code, there.split())


def test_a_fallback_is_said_and_an_equal_code_is_not() -> None:
    with pytest.warns(LanguageFallbackWarning, match="no 'de-AT' here; 'de' is used instead$"):
        assert check_installed("de-AT", ["en", "de"]) == "de"
    with pytest.warns(LanguageFallbackWarning, match="another script \\(Cyrl, not Latn\\)"):
        assert check_installed("sr-Latn", ["sr"]) == "sr"
    with pytest.warns(LanguageFallbackWarning, match="other written form"):
        check_installed("nn", ["nb"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [check_installed(code, ["id", "he", "fil", "ja"]) for code in ("in", "iw", "tl", "JP")] == [
            "id", "he", "fil", "ja",
        ]  # fmt: skip


CODES = sorted({code for row in (*SAME, *FAR, *OTHER) for part in row for code in part.split()})


@given(st.sampled_from(CODES), st.lists(st.sampled_from(CODES), unique=True, max_size=8))
def test_what_is_found_is_there_and_is_the_nearest(code: str, there: list[str]) -> None:
    found = resolve(code, there)
    if found is None:
        assert normalise(code) not in map(normalise, there)
        return
    assert found in there
    if normalise(code) in map(normalise, there):
        assert normalise(found) == normalise(code)
    first, second = langcodes.Language.get(normalise(code)), langcodes.Language.get(normalise(found))
    same = (
        langcodes.standardize_tag(str(first.language), macro=True),
        langcodes.standardize_tag(str(second.language), macro=True),
    )
    assert same[0] == same[1] or {*same} <= {"no", "nb", "nn"} or normalise(code) == "sr-Latn"
    assert resolve(found, there) == found
    if close := resolve(code, there, near=True):
        assert first.maximize().script == langcodes.Language.get(normalise(close)).maximize().script
