"""Language codes: one spelling each, and errors that help."""

from __future__ import annotations

import pytest

from glotclip.errors import LanguageError
from glotclip.languages import check_installed, detect, normalise, normalise_all


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
    with pytest.raises(LanguageError, match="'pt' is not installed") as caught:
        check_installed("pt", ["en", "pt-BR"])
    assert "installed: en, pt-BR" in caught.value.hint
    with pytest.raises(LanguageError) as empty:
        check_installed("de", [])
    assert "none" in empty.value.hint


def test_guessing_is_among_the_candidates() -> None:
    texts = ["die Katze sitzt auf dem Tisch und schläft", "le chat est assis sur la table"]
    assert detect(texts, ["fr", "de"]) == ["de", "fr"]
    assert detect(texts, ["hi"]) == ["hi", "hi"]
    assert detect(["这是一只猫"], ["en", "zh-Hant"]) == ["zh-Hant"]
