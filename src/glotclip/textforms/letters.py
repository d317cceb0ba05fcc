"""What is folded in some languages or scripts: letters that keyboards and habits write in several forms.

Where two spellings are both in use the fold is the one that search engines make (Lucene's analyzers for Arabic,
Persian, Sorani, Greek and Hindi, the conventions for Ethiopic): a query must find what a caption spells otherwise.

Folds of one script into another (:data:`FOLDS`) are settings, since only who reads both reads them alike.
``simplified`` writes Chinese in simplified characters, one by one, by OpenCC's table (Apache-2.0,
``TSCharacters.txt``, the first choice of each). ``latin`` writes Serbian, Uzbek, Azerbaijani and Turkmen in Latin
letters. The other direction is ambiguous in both, so both scripts are brought to the one that fewer letters decide.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources

import regex  # type: ignore[import-untyped]

Step = Callable[[str], str]

DOTLESS = ("tr", "az", "crh", "gag")  # I is the capital of ı
ASCII_MATTERS = frozenset([*DOTLESS, "uz", "ca"])  # where a letter or sign of ASCII is folded
_ARABIC = ("ar", "aeb", "acm", "afb", "ajp", "apc", "apd", "arq", "ars", "ary", "arz", "ayl")
_PERSIAN = ("fa", "prs", "pes", "mzn", "glk", "lrc", "azb", "bal", "haz")
_URDU = ("ur", "pnb", "skr", "pa")
_CYRILLIC_VOWELS = "аеёиоуыэюяіїєѣѵүұөәӣӯ"
_TONES, _QUALITIES = "\u0300\u0301\u0303\u0309\u0323", "\u0302\u0306\u031b"


def plain_letters(text: str, primary: str) -> str:
    """Fold the letters of a text in NFC, by its scripts and by its language's code without region."""
    if text.isascii() and primary not in ASCII_MATTERS:
        return text
    if primary not in DOTLESS:
        text = text.replace("İ", "I")  # its lower case is i with a second dot
    for step in (_in_every_language, *_STEPS.get(primary, ())):
        text = step(text)
    return unicodedata.normalize("NFC", text)


def long_vowels(text: str, primary: str) -> str:
    """Write ー for the dashes that stand for it after kana, before all dashes are folded into one."""
    return str(_LONG_VOWEL.sub("ー", text)) if primary == "ja" and not text.isascii() else text


_LONG_VOWEL = regex.compile(r"(?<=[\u3041-\u3096\u30A1-\u30FA])[‐‑‒–—―−－]")


def _replacing(table: Mapping[str, str]) -> Step:
    """A step that replaces each letter of ``from → to``; several letters in a key become the same one."""
    letters = {ord(letter): to for key, to in table.items() for letter in key}
    return lambda text: text.translate(letters)


def _matching(pattern: str, to: str) -> Step:
    compiled = regex.compile(pattern, flags=regex.VERSION1)
    return lambda text: str(compiled.sub(to, text))


def _chain(*steps: Step) -> Step:
    def chained(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return chained


_CHILLUS = {"ണ": "ൺ", "ന": "ൻ", "ര": "ർ", "ല": "ൽ", "ള": "ൾ", "ക": "ൿ"}
_CHILLU = regex.compile(f"([{''.join(_CHILLUS)}])\u0d4d\u200d")
_EVERYWHERE: tuple[tuple[str, Step], ...] = (
    # What a character class finds → the step; most texts meet none of them.
    ("\u0307", _matching("(?<=i)\u0307(?!\\p{M})", "")),  # what lower-casing İ elsewhere leaves
    (r"\p{Cyrillic}", _matching(rf"(?i)(?<=[{_CYRILLIC_VOWELS}])[\u0300\u0301]", "")),  # stress marks
    (r"\p{Cyrillic}", _replacing({"ѝ": "и", "ѐ": "е", "Ѝ": "И", "Ѐ": "Е"})),
    (r"\p{Thai}", _matching("([\u0e48-\u0e4b])([\u0e31\u0e34-\u0e37\u0e47])", r"\2\1")),
    (r"\p{Thai}", _matching("\u0e4d([\u0e48-\u0e4b]?)\u0e32|([\u0e48-\u0e4b])\u0e4d\u0e32", "\\1\\2\u0e33")),
    (r"\p{Thai}", _matching("\u0e40\u0e40", "\u0e41")),
    (r"\p{Lao}", _matching("\u0ecd([\u0ec8-\u0ecb]?)\u0eb2|([\u0ec8-\u0ecb])\u0ecd\u0eb2", "\\1\\2\u0eb3")),
    (r"\p{Malayalam}", lambda text: _CHILLU.sub(lambda found: _CHILLUS[found[1]], text)),
    (r"\p{Bengali}", _matching("\u09a4\u09cd\u200d", "\u09ce")),
    ("፡", _replacing({"፡": " "})),  # the Ethiopic word space
)
_FOUND = [(regex.compile(f"[{where}]"), step) for where, step in _EVERYWHERE]


def _in_every_language(text: str) -> str:
    for where, step in _FOUND:
        if where.search(text):
            text = step(text)
    return text


_HARAKAT = _matching(r"[\u0610-\u061A\u064B-\u065F\u0670\u06D6-\u06DC\u06DF-\u06E4\u06E7\u06E8\u06EA-\u06ED]+", "")
_ALEF = {"أإٱٲٳ": "ا"}
_ETHIOPIC = {"ሐ": "ሀ", "ኀ": "ሀ", "ሠ": "ሰ", "ዐ": "አ", "ፀ": "ጸ"}  # one sound, several series of seven


def _series() -> Mapping[str, str]:
    return {chr(ord(one) + k): chr(ord(other) + k) for one, other in _ETHIOPIC.items() for k in range(7)}


def _greek(text: str) -> str:
    """Drop accents and breathings, and write one sigma: capitals have neither."""
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", _GREEK_MARKS.sub(r"\1", parts)).replace("ς", "σ")


_GREEK_MARKS = regex.compile(r"(?V1)([\p{Greek}&&\p{L}])\p{M}+")


def _vietnamese(text: str) -> str:
    """Put tone marks after the marks that make another letter, and on the vowel where the newer spelling has them."""
    parts = unicodedata.normalize("NFD", text)
    parts = _TONE_FIRST.sub(r"\2\1", parts)
    return unicodedata.normalize("NFC", _OLD_PLACE.sub(r"\1\3\2", parts))


_TONE_FIRST = regex.compile(f"([{_TONES}]+)([{_QUALITIES}]+)")
_OLD_PLACE = regex.compile(
    rf"(?i)((?:o(?=[{_TONES}][ae])|(?<!q)u(?=[{_TONES}]y)))([{_TONES}])([aey])(?![\p{{L}}\p{{M}}])"
)

_PERSIAN_LETTERS = {"يىے": "ی", "كڪ": "ک", "ۀہەھ": "ه", "ة": "ه", **_ALEF}
_URDU_LETTERS = {"يى": "ی", "كڪ": "ک", "هە": "ہ", "ۀ": "ۂ", "ة": "ۃ", **_ALEF}
_NO_ZWNJ = _replacing({"\u200c": ""})
_SOUTH_SLAVIC = _replacing({"ÐƉ": "Đ", "ð": "đ"})
_TURKIC = _replacing({"I": "ı", "İ": "i", "ș": "ş", "Ș": "Ş"})
_DIGRAPHS = _replacing({"װ": "וו", "ױ": "וי", "ײ": "יי"})
_EYELASH = _matching("र्\u200d", "ऱ्")  # Marathi and Nepali write half a ra in two ways

_STEPS: dict[str, tuple[Step, ...]] = {
    **dict.fromkeys(_ARABIC, (
        _HARAKAT, _NO_ZWNJ,
        _replacing({"ىیے": "ي", "کڪ": "ك", "ۀہەھة": "ه", "آ": "ا", **_ALEF}),
    )),
    **dict.fromkeys(_PERSIAN, (_HARAKAT, _replacing(_PERSIAN_LETTERS))),
    **dict.fromkeys(_URDU, (_HARAKAT, _replacing(_URDU_LETTERS))),
    "ps": (_HARAKAT, _replacing({"يى": "ی", "كڪ": "ک", "گ": "ګ", "ہە": "ه", **_ALEF})),
    "ks": (_replacing({"يى": "ی", "كڪ": "ک"}),),
    "ckb": (_matching("ه\u200c|ة", "ە"), _replacing({"يى": "ی", "كڪ": "ک", "ھ": "ه"})),
    "sd": (_HARAKAT, _replacing({"یى": "ي", "ك": "ڪ"})),
    "he": (_matching(r"[\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7]+", ""), _DIGRAPHS),
    "yi": (_DIGRAPHS,),
    **dict.fromkeys(DOTLESS, (_TURKIC,)),
    "az": (_TURKIC, _replacing({"ǝә": "ə", "ƎӘ": "Ə"})),
    "ku": (_replacing({"ș": "ş", "Ș": "Ş"}),),
    "tk": (_replacing({"ș": "ş", "Ș": "Ş"}),),
    **dict.fromkeys(("ro", "mo"), (_replacing({"ş": "ș", "Ş": "Ș", "ţ": "ț", "Ţ": "Ț"}),)),
    "lv": (_replacing({"\u0326": "\u0327"}),),
    "fr": (_replacing({"œ": "oe", "Œ": "Oe", "æ": "ae", "Æ": "Ae"}),),
    "ca": (_matching("(?<=[lL])[•‧∙⋅・.](?=[lL])", "·"),),
    "uz": (_matching("(?i)(?<=[og])[`´]", "'"),),
    "vi": (_SOUTH_SLAVIC, _vietnamese),
    **dict.fromkeys(("hr", "sr", "bs", "sh", "cnr"), (_SOUTH_SLAVIC,)),
    "ru": (_replacing({"ё": "е", "Ё": "Е"}),),
    **dict.fromkeys(("el", "grc"), (_greek,)),
    "hi": (_matching("(?<=[कखगजफ])\u093c", ""), _replacing({"\u0901": "\u0902"})),
    **dict.fromkeys(("mr", "ne", "kok"), (_EYELASH,)),
    "as": (_replacing({"র": "ৰ"}),),
    "bn": (_replacing({"ৰ": "র", "ৱ": "ব"}),),
    "am": (_replacing(_series()), _replacing({"ሃ": "ሀ", "ኣ": "አ"})),
    **dict.fromkeys(("ja", "zh", "yue", "ko"), (_replacing({"〜": "~"}),)),
}  # fmt: skip

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
        return text.translate(simplified_characters())
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
def simplified_characters() -> dict[int, str]:
    """Traditional → simplified character, of two lines of the same length."""
    lines = resources.files("glotclip.textforms").joinpath("simplified.txt").read_text(encoding="utf-8").split("\n")
    return {ord(one): other for one, other in zip(lines[0], lines[1], strict=True)}
