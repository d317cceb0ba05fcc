"""How the multilingual models spell a language, from its BCP-47 code.

NLLB-200 uses FLORES-200's codes: ISO 639-3 and ISO 15924 (``deu_Latn``), with an individual language where BCP-47 has
a macrolanguage. M2M-100 uses two letters, with exceptions. Marian models with several targets begin the source with
``>>deu<<``, spelt in one of several ways. What a model really has is looked up in its own vocabulary.
"""

from __future__ import annotations

from collections.abc import Collection

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


def language_tokens(source: str, target: str, vocabulary: Collection[str]) -> tuple[list[str], list[str]]:
    """The tokens by which a model is told a pair of languages: what its source begins with, and its target.

    NLLB-200 and M2M-100 name both; a Marian model with several targets names the target in its source, and one with a
    single target nothing.

    Args:
        source: the language of the texts.
        target: the language to translate into.
        vocabulary: the model's source tokens, which also tell its kind.

    Raises:
        LanguageError: if the model does not know one of the languages.
    """
    if "eng_Latn" in vocabulary:
        return [_nllb(source, vocabulary)], [_nllb(target, vocabulary)]
    if "__en__" in vocabulary:
        return [_m2m(source, vocabulary)], [_m2m(target, vocabulary)]
    if any(token.startswith(">>") and token.endswith("<<") for token in vocabulary):
        return [_marian(target, vocabulary)], []
    return [], []


def _nllb(code: str, vocabulary: Collection[str]) -> str:
    return _first([flores(code)], code, vocabulary, "this NLLB model")


def _m2m(code: str, vocabulary: Collection[str]) -> str:
    primary = code.split("-")[0]
    spellings = (code.lower(), primary, _M2M.get(primary, primary))
    return _first([f"__{spelling}__" for spelling in spellings], code, vocabulary, "this M2M-100 model")


def _marian(code: str, vocabulary: Collection[str]) -> str:
    import langcodes

    language = langcodes.Language.get(code)
    letters = language.to_alpha3()
    script = language.maximize().script
    spellings = [code.replace("-", "_"), f"{letters}_{script}", letters, str(language.language)]
    if language.language == "zh":
        spellings.insert(1, f"cmn_{script}")
    return _first([f">>{spelling}<<" for spelling in spellings], code, vocabulary, "this Marian model")


def _first(tokens: list[str], code: str, vocabulary: Collection[str], what: str) -> str:
    for token in tokens:
        if token in vocabulary:
            return token
    raise LanguageError(
        f"{what} does not know {code!r} (looked for {', '.join(dict.fromkeys(tokens))})",
        hint="choose a language the model was trained on, or another model",
    )
