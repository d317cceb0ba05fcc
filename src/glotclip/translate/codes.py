"""How the multilingual models spell a language, from its BCP-47 code.

NLLB-200 uses FLORES-200's codes: ISO 639-3 and ISO 15924 (``deu_Latn``), with an individual language where BCP-47 has
a macrolanguage. M2M-100 uses two letters, with exceptions. Marian models with several targets begin the source with
``>>deu<<``, spelt in one of several ways. What a model really has is looked up in its own vocabulary.
"""

from __future__ import annotations

from collections.abc import Container

from glotclip.errors import LanguageError

#: ISO 639-3 of BCP-47's language → the one FLORES-200 chose for it.
_FLORES = {
    "ara": "arb", "aym": "ayr", "aze": "azj", "din": "dik", "fas": "pes", "fil": "tgl",
    "ful": "fuv", "kau": "knc", "kur": "kmr", "lav": "lvs", "mlg": "plt", "mon": "khk",
    "msa": "zsm", "nep": "npi", "nor": "nob", "ori": "ory", "orm": "gaz", "pus": "pbt",
    "que": "quy", "sqi": "als", "swa": "swh", "tmh": "taq", "uzb": "uzn", "yid": "ydd",
}  # fmt: skip
_FLORES_SCRIPTS = {"Kore": "Hang"}
_M2M = {"nb": "no", "nn": "no", "fil": "tl", "nso": "ns"}


def flores(code: str) -> str:
    """Return FLORES-200's code of a language (``de`` → ``deu_Latn``, ``zh`` → ``zho_Hans``)."""
    import langcodes

    language = langcodes.Language.get(code)
    letters = language.to_alpha3()
    script = str(language.maximize().script)
    return f"{_FLORES.get(letters, letters)}_{_FLORES_SCRIPTS.get(script, script)}"


def nllb_token(code: str, vocabulary: Container[str]) -> str:
    """Return the token by which NLLB-200 names a language, or raise :class:`LanguageError`."""
    return _first((flores(code),), code, vocabulary, "this NLLB model")


def m2m_token(code: str, vocabulary: Container[str]) -> str:
    """Return the token by which M2M-100 names a language (``__de__``), or raise :class:`LanguageError`."""
    primary = code.split("-")[0]
    spellings = (code.lower(), primary, _M2M.get(primary, primary))
    return _first(tuple(f"__{spelling}__" for spelling in spellings), code, vocabulary, "this M2M-100 model")


def marian_tokens(code: str, vocabulary: Container[str], *, several: bool) -> list[str]:
    """Return what a Marian source begins with: ``[">>deu<<"]``, or nothing for a model with one target language.

    Args:
        code: the target language.
        vocabulary: the model's source tokens.
        several: whether the vocabulary holds any token of this form.

    Raises:
        LanguageError: if the model has several targets and this is none of them.
    """
    import langcodes

    if not several:
        return []
    language = langcodes.Language.get(code)
    letters = language.to_alpha3()
    script = language.maximize().script
    spellings = [code.replace("-", "_"), f"{letters}_{script}", letters, str(language.language)]
    if language.language == "zh":
        spellings.insert(1, f"cmn_{script}")
    return [_first(tuple(f">>{spelling}<<" for spelling in spellings), code, vocabulary, "this Marian model")]


def _first(tokens: tuple[str, ...], code: str, vocabulary: Container[str], what: str) -> str:
    for token in tokens:
        if token in vocabulary:
            return token
    raise LanguageError(
        f"{what} does not know {code!r} (looked for {', '.join(dict.fromkeys(tokens))})",
        hint="choose a language the model was trained on, or another model",
    )
