"""Languages as the multilingual models spell them."""

from __future__ import annotations

import pytest
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES as M2M
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as NLLB

from glotclip.errors import LanguageError
from glotclip.languages import normalise
from glotclip.translate.codes import flores, language_tokens


@pytest.mark.parametrize("code", [code for code in NLLB if code != "prs_Arab"])  # Dari is fa-AF to BCP-47
def test_every_language_of_nllb_is_found_from_its_bcp_47_code(code: str) -> None:
    assert flores(normalise(code)) == code


@pytest.mark.parametrize(
    ("code", "token"),
    [("de", "deu_Latn"), ("zh", "zho_Hans"), ("zh-Hant", "zho_Hant"), ("ko", "kor_Hang"), ("ar", "arb_Arab"),
     ("fa", "pes_Arab"), ("no", "nob_Latn"), ("pt-BR", "por_Latn"), ("sr", "srp_Cyrl"), ("sw", "swh_Latn")],
)  # fmt: skip
def test_nllb(code: str, token: str) -> None:
    assert language_tokens("en", code, set(NLLB)) == (["eng_Latn"], [token])


def test_nllb_refuses() -> None:
    with pytest.raises(LanguageError, match="looked for bre_Latn"):
        language_tokens("br", "en", set(NLLB))


def test_every_language_of_m2m_is_found() -> None:
    tokens = {f"__{code}__" for code in M2M["m2m100"]}

    def token(code: str) -> str:
        (before,), (first,) = language_tokens(normalise(code), "en", tokens)
        assert first == "__en__"
        return before

    assert {token(code) for code in M2M["m2m100"] if code != "ns"} == tokens - {"__ns__"}
    asked = {"nso": "__ns__", "nb": "__no__", "fil": "__tl__", "zh-Hant": "__zh__", "pt-BR": "__pt__"}
    assert {code: token(code) for code in asked} == asked
    with pytest.raises(LanguageError, match="M2M-100"):
        token("eu")


@pytest.mark.parametrize(
    ("code", "tokens", "expected"),
    [
        ("de", {"a"}, []),  # one target, which needs no name
        ("es", {">>spa<<", ">>fra<<"}, [">>spa<<"]),
        ("es", {">>es<<", ">>es_AR<<"}, [">>es<<"]),
        ("es-AR", {">>es<<", ">>es_AR<<"}, [">>es_AR<<"]),
        ("zh-Hant", {">>cmn_Hans<<", ">>cmn_Hant<<"}, [">>cmn_Hant<<"]),
    ],
)
def test_marian_names_a_target_only_where_there_are_several(code: str, tokens: set[str], expected: list[str]) -> None:
    assert language_tokens("en", code, tokens) == (expected, [])


def test_marian_refuses() -> None:
    with pytest.raises(LanguageError, match="'de'"):
        language_tokens("en", "de", {">>spa<<"})
