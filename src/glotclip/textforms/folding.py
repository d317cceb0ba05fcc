"""Folds of one script into another, as settings: what reads alike only to who reads both.

``simplified`` writes Chinese in simplified characters, one by one, by OpenCC's table (Apache-2.0,
``TSCharacters.txt``, the first choice of each). ``latin`` writes Serbian, Uzbek, Azerbaijani and Turkmen in Latin
letters. The way back is ambiguous in both, so both scripts are brought to the one that fewer letters decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

import regex  # type: ignore[import-untyped]

_SERBIAN = "аa бb вv гg дd ђđ еe жž зz иi јj кk лl љlj мm нn њnj оo пp рr сs тt ћć уu фf хh цc чč џdž шš"
_UZBEK = (
    "аa бb вv гg дd еe ёyo жj зz иi йy кk лl мm нn оo пp рr сs тt уu фf хx цts чch шsh ъ' ь эe юyu яya "
    "ўo' қq ғg' ҳh ыi щsh"
)
_AZERBAIJANI = (
    "аa бb вv гq ғğ дd еe әə жj зz иi йy ыı јy кk ҝg лl мm нn оo өö пp рr сs тt уu үü фf хx һh чç ҹc шş ъ' ь "
    "эe юyu яya ёyo цs щş"
)
_TURKMEN = (
    "аa бb вw гg дd еe ёýo жž җj зz иi йý кk лl мm нn ңň оo өö пp рr сs тt уu үü фf хh цs чç шş щş ъ ыy ь эe "
    "әä юýu яýa"
)
_LATIN = {
    **dict.fromkeys(("sr", "sh", "bs", "cnr"), _SERBIAN),
    "uz": _UZBEK,
    "az": _AZERBAIJANI,
    "tk": _TURKMEN,
}
_IOTATED = {"uz": "ye", "tk": "ýe"}  # how е is read where no consonant is before it
_NO_CONSONANT = regex.compile(r"(?i)(?<![\p{Cyrillic}])е|(?<=[аеёиоуўыэюяөүә])е")

FOLDS: Mapping[str, frozenset[str]] = {
    "simplified": frozenset(["zh", "yue", "cmn", "wuu", "hak", "nan", "lzh", "gan", "hsn"]),
    "latin": frozenset(_LATIN),
}


def fold(text: str, name: str, primary: str) -> str:
    """Fold a text; where the fold does not concern the language the text stays as it is."""
    if text.isascii() or primary not in FOLDS[name]:
        return text
    if name == "simplified":
        return text.translate(_simplified())
    if primary in _IOTATED:
        text = _NO_CONSONANT.sub(lambda found: _cased(found[0], _IOTATED[primary]), text)
    return text.translate(_latin(primary))


def _cased(letter: str, latin: str) -> str:
    return latin if letter.islower() else latin[:1].upper() + latin[1:]


@cache
def _latin(primary: str) -> dict[int, str]:
    pairs = {pair[0]: pair[1:] for pair in _LATIN[primary].split()}
    return {ord(letter): _cased(letter, latin) for low, latin in pairs.items() for letter in (low, low.upper())}


@cache
def _simplified() -> dict[int, str]:
    """Traditional → simplified character, of two lines of the same length."""
    lines = resources.files("glotclip.textforms").joinpath("simplified.txt").read_text(encoding="utf-8").split("\n")
    return {ord(one): other for one, other in zip(lines[0], lines[1], strict=True)}
