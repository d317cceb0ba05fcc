"""The languages of a bilingual file: by its name, by its title, by its texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from glotclip.data import emoji
from glotclip.data.schema import language_or_none

#: Languages as titles of dictionaries name them.
NAMES = {
    "afrikaans": "af", "arabic": "ar", "breton": "br", "bulgarian": "bg", "catalan": "ca", "chinese": "zh",
    "croatian": "hr", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en", "esperanto": "eo",
    "estonian": "et", "finnish": "fi", "french": "fr", "galician": "gl", "german": "de", "greek": "el",
    "hebrew": "he", "hindi": "hi", "hungarian": "hu", "icelandic": "is", "indonesian": "id", "irish": "ga",
    "italian": "it", "japanese": "ja", "khasi": "kha", "korean": "ko", "kurdish": "ku", "latin": "la",
    "latvian": "lv", "lithuanian": "lt", "macedonian": "mk", "modern greek": "el", "norwegian": "no",
    "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "romany": "rom", "russian": "ru",
    "sanskrit": "sa", "scottish gaelic": "gd", "serbian": "sr", "slovak": "sk", "slovenian": "sl", "spanish": "es",
    "suomi": "fi", "swahili": "sw", "swedish": "sv", "thai": "th", "turkish": "tr", "ukrainian": "uk",
    "vietnamese": "vi", "welsh": "cy", "deutsch": "de", "français": "fr", "español": "es", "italiano": "it",
}  # fmt: skip
_TITLE = re.compile(r"([^\W\d_][^-–—,.]*?)\s*[-–—]\s*([^\W\d_]\w*)")
_PAIR = re.compile(
    r"(?:^|[^A-Za-z])([A-Za-z]{2,3}(?:[_-][A-Z][a-z]{3})?)[-_]([A-Za-z]{2,3}(?:[_-][A-Z][a-z]{3})?)(?=$|[^A-Za-z])"
)
_MARKUP = re.compile(r"<[^<>]*>|&\w+;")
_WORD = re.compile(r"[a-z']+")
_FUNCTION_WORDS = (
    "the of and to in is that it was for on are as with his they be at this have from or had by but not what all "
    "were we when your can said there use an each which she do how their if will up other about out many then them "
    "these so some her would make like him into time has look two more write go see number no way could people my "
    "than first water been call who its now find long down day did get come made may part i you he a"
)


def usual_language(code: str) -> str | None:
    """Return the usual code of a language, its macrolanguage's for one of its parts that stands for it.

    ``deu`` → de, ``swh`` → sw, ``arb`` → ar, ``zho_Hans`` → zh-Hans; ``None`` for what is no language.
    """
    known = language_or_none(code)
    if known is None:
        return None
    import langcodes

    return str(langcodes.standardize_tag(known, macro=True))


def sides_of_name(name: str) -> tuple[str, str] | None:
    """Return the two languages in a name, in its order: ``freedict-deu-eng.index`` → de, en; ``None`` without."""
    stem = name.split(".")[0] if "." in name else name
    for text in (stem, name):
        for match in reversed(list(_PAIR.finditer(text))):
            one, other = usual_language(match[1]), usual_language(match[2])
            if one and other and one != other:
                return one, other
    return None


def sides_of_title(title: str) -> tuple[str, str] | None:
    """Return the two languages that a title begins with: ``German - English Ding/FreeDict dictionary`` → de, en."""
    match = _TITLE.match(title.strip())
    if match is None:
        return None
    one, other = (NAMES.get(name.strip().lower()) for name in match.groups())
    return (one, other) if one and other else None


def english_share(texts: Sequence[str]) -> float:
    """The share of words that are common English ones, 0 to 1: of word lists a quarter, of others' about a tenth."""
    known = _english_words()
    plain = [_MARKUP.sub(" ", text).lower() for text in texts]
    found = [word in known for text in plain for word in _WORD.findall(text)]
    letters = sum(sign.isalpha() for text in plain for sign in text)
    latin = sum("a" <= sign <= "z" for text in plain for sign in text)
    return sum(found) / max(1, len(found)) * latin / max(1, letters)


@cache
def _english_words() -> frozenset[str]:
    """A few thousand common words: those of emoji's names and keywords, and the most frequent function words."""
    names = emoji.texts("en", "cldr").values()
    texts = (text for each in names for text in (each.name, *each.keywords))
    return frozenset({*_FUNCTION_WORDS.split(), *(word for text in texts for word in _WORD.findall(text.lower()))})
