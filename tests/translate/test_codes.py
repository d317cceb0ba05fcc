"""Languages as the multilingual models spell them."""

from __future__ import annotations

import pytest
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES as M2M
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as NLLB

from glotclip.errors import LanguageError
from glotclip.languages import normalise
from glotclip.translate.codes import flores, m2m_token, marian_tokens, nllb_token


@pytest.mark.parametrize("code", [code for code in NLLB if code != "prs_Arab"])  # Dari is fa-AF to BCP-47
def test_every_language_of_nllb_is_found_from_its_bcp_47_code(code: str) -> None:
    assert flores(normalise(code)) == code


@pytest.mark.parametrize(
    ("code", "token"),
    [("de", "deu_Latn"), ("zh", "zho_Hans"), ("zh-Hant", "zho_Hant"), ("ko", "kor_Hang"), ("ar", "arb_Arab"),
     ("fa", "pes_Arab"), ("no", "nob_Latn"), ("pt-BR", "por_Latn"), ("sr", "srp_Cyrl"), ("sw", "swh_Latn")],
)  # fmt: skip
def test_nllb(code: str, token: str) -> None:
    assert nllb_token(code, set(NLLB)) == token


def test_nllb_refuses() -> None:
    with pytest.raises(LanguageError, match="looked for bre_Latn"):
        nllb_token("br", set(NLLB))


def test_every_language_of_m2m_is_found() -> None:
    tokens = {f"__{code}__" for code in M2M["m2m100"]}
    assert {m2m_token(code, tokens) for code in M2M["m2m100"] if code != "ns"} == tokens - {"__ns__"}
    asked = {"nso": "__ns__", "nb": "__no__", "fil": "__tl__", "zh-Hant": "__zh__", "pt-BR": "__pt__"}
    assert {code: m2m_token(normalise(code), tokens) for code in asked} == asked
    with pytest.raises(LanguageError, match="M2M-100"):
        m2m_token("eu", tokens)


def test_marian_names_a_target_only_where_there_are_several() -> None:
    assert marian_tokens("de", {"a"}, several=False) == []
    assert marian_tokens("es", {">>spa<<", ">>fra<<"}, several=True) == [">>spa<<"]
    assert marian_tokens("es", {">>es<<", ">>es_AR<<"}, several=True) == [">>es<<"]
    assert marian_tokens("es-AR", {">>es<<", ">>es_AR<<"}, several=True) == [">>es_AR<<"]
    assert marian_tokens("zh-Hant", {">>cmn_Hans<<", ">>cmn_Hant<<"}, several=True) == [">>cmn_Hant<<"]
    with pytest.raises(LanguageError, match="'de'"):
        marian_tokens("de", {">>spa<<"}, several=True)
