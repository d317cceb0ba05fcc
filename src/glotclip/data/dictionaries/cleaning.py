"""An entry of a bilingual dictionary becomes pairs of a word and its translation, without what stands around them.

Dictionaries write for people: ``drain <n>, drain line <n> [techn.] (of a tank)``. What is learnt from is ``drain``
and ``drain line``. Whatever is dropped is counted by its reason, and the counts are told in a corpus's notes.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from glotclip.data.markers import MARKERS, is_missing

#: A headword and one of its translations, in the order of the dictionary.
Pair = tuple[str, str]

#: Longer ones are explanations or sentences, not names; examples are measured by :data:`MOST_WORDS_OF_EXAMPLE`.
MOST_WORDS = 10
MOST_WORDS_OF_EXAMPLE = 40
#: So many translations of one entry are kept, the first ones: dictionaries put the usual meaning first.
MOST_SENSES = 12
# A list is split at its commas if no part has more words: longer ones are sentences, which have commas of their own.
_MOST_LISTED = 5

_HTML = re.compile(
    r"</?(?:a|b|i|u|p|br|em|sub|sup|div|span|font|small|strong|li|ul|ol|hr|tt|big|img)(?:\s[^<>]*)?/?>", re.IGNORECASE
)
_ANGLED = re.compile(r"<[^<>\n]*>")
_SQUARE = re.compile(r"\[[^\[\]\n]*\]|\{[^{}\n]*\}|［[^［］\n]*］|【[^【】\n]*】|〔[^〔〕\n]*〕")
_ROUND = re.compile(r"\([^()\n]*\)|（[^（）\n]*）")
_SOUND = re.compile(r"(?:^|(?<=\s))/{1,2}(?=[^\s/])[^/\n]+/{1,2}(?=[\s,;]|$)")
_NUMBER = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|[a-h]\)|[-•*·])\s*(?=\D|$)")
_INNER_NUMBER = re.compile(r"(?:(?<=\s)|^)(?:\(?\d{1,2}[.)]|[①-⑳])(?=\s)")
_AFTER_STOP = re.compile(r"(?<=\w{4})[.!?]\s+\S.*$", re.DOTALL)
_AFTER_DASH = re.compile(r"\s+(?:[-–—]|--)\s+\S.*$", re.DOTALL)
_ALTERNATIVES = re.compile(r"\s*[;；|│]\s*|\s+/\s+|\s*[、،؛]\s*")
_COMMA = re.compile(r"[,，]\s+|，")
_SPACES = re.compile(r"\s+")
_MARK = re.compile(r"^(?:see(?: also)?|cf|also|esp|e\.g|i\.e|synonyms?|antonyms?|note|pl|abbr)\s*[.:]", re.IGNORECASE)
#: Stand for objects and persons that a verb takes, in dictionaries of German and English.
_PLACEHOLDERS = re.compile(
    r"(?:(?<=\s)|^)(?:sth|sb|so|smth|smb|sb's|etw|jdn|jdm|jds|jd|jmdn|jmdm|jmd|qc|qn|qch|qqch|qqn)\.?(?:/(?:sth|sb|etw|jdn|jdm)\.?)*(?=\s|$)"
)
#: Parts of speech and grammar as words at a translation's end or beginning.
_GRAMMAR = re.compile(
    r"(?:^|\s)(?:n|v|vt|vi|vr|adj|adv|prep|conj|pron|interj|num|art|sg|pl|masc|fem|neut|nt|sing|inf|intr|tr)\.(?=\s|$)"
)
_STAND_INS = "placeholders such as sth."
_STANDS_IN = re.compile(r"\b(?:s[bo]|sth|smth|etw|j[dm]|q)")
#: ``Plural of : chair`` says of its word what it is a form of, which is what it means.
_FORM_OF = re.compile(
    r"^(?:plural|singular|feminine|masculine|diminutive|augmentative|comparative|superlative|past"
    r"(?: tense| participle)?) of(?=[\s:]|$)[\s:]*",
    re.IGNORECASE,
)
#: Definite articles that are written as one with their noun, in languages whose dictionaries cite nouns with them.
_ARTICLES = {"ar": re.compile(r"(?<!\w)ال(?=\w[\u064b-\u0652]*\w)")}  # its vowel signs are no \w
_MOST_WITH_ARTICLE = 4  # words; longer texts are no names, whose words are asked for in both forms
# What stands in lists, and texts that need no cleaning; both save most of the time.
_DIVIDED = re.compile(r"[;；|│/、،؛\d①-⑳\n]")
_PLAIN = re.compile(r"[^\W\d_](?:[\w'’ -]*\w)?")
_LETTER = re.compile(r"[^\W\d_]")
_DAMAGE = re.compile("[<>{}\\[\\]()\ufffd\0]")
_JOINED = re.compile(r"(?<=[a-z])(?=[A-Z])")
_EDGES = ' \t,;:.…~=*†‡•·|\\"“”„«»‹›`´'


@dataclass
class Cleaner:
    """Cleans entries, and counts what it drops.

    Attributes:
        dropped: how often something was dropped, by reason in words.
        entries: how many entries it was given.
        parts_joined_words: whether ``UnitedKingdom`` is two words, as in dictionaries made from Ergane.
    """

    dropped: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    parts_joined_words: bool = False

    def pairs(self, headwords: Iterable[str], senses: Iterable[str]) -> Iterator[Pair]:
        """Yield the pairs of one entry: each headword with each translation, without repetition.

        Args:
            headwords: the entry's headwords as they stand there, pronunciation and grammar included.
            senses: its translations, likewise; one may list several.
        """
        self.entries += 1
        names = list(dict.fromkeys(name for raw in headwords if (name := self.text(raw))))
        meanings = list(dict.fromkeys(text for raw in senses for text in self.meanings(raw)))
        if not names or not meanings:
            self.dropped["entries without a word and its translation"] += 1
            return
        if len(meanings) > MOST_SENSES:
            self.dropped[f"translations after the first {MOST_SENSES} of an entry"] += len(meanings) - MOST_SENSES
        for name in names:
            for meaning in meanings[:MOST_SENSES]:
                yield name, meaning

    def meanings(self, raw: str) -> Iterator[str]:
        """Yield the translations in a line: split at semicolons, numbers and commas outside brackets, and cleaned."""
        bare = self.without_marks(raw)
        if not _DIVIDED.search(bare):
            for text in self._listed(bare):
                if cleaned := self._cleaned(text):
                    yield cleaned
            return
        for part in _INNER_NUMBER.sub(";", bare).split("\n"):
            for alternative in _ALTERNATIVES.split(part):
                for text in self._listed(alternative):
                    if cleaned := self._cleaned(text):
                        yield cleaned

    def text(self, raw: str) -> str:
        """A headword or one translation, cleaned; empty if nothing is left of it."""
        return self._cleaned(self.without_marks(raw))

    def example(self, raw: str, translation: str) -> Pair | None:
        """A sentence and its translation, which stay whole but for their marks; ``None`` if one is missing."""
        one, other = (_SPACES.sub(" ", self.without_marks(text)).strip(' "“”„«»') for text in (raw, translation))
        if not one or not other or is_missing(one) or is_missing(other):
            self.dropped["examples without a translation"] += 1
            return None
        if max(words(one), words(other)) > MOST_WORDS_OF_EXAMPLE:
            self.dropped[f"examples of more than {MOST_WORDS_OF_EXAMPLE} words"] += 1
            return None
        return unicodedata.normalize("NFC", one), unicodedata.normalize("NFC", other)

    def without_marks(self, text: str) -> str:
        """Drop HTML, grammar in angle brackets, remarks in others, and pronunciation, of one line or many."""
        if "&" in text:
            text = html.unescape(text)
        if "<" in text:
            text = self._drop(_HTML, text, "HTML tags")
            text = self._drop(_ANGLED, text, "grammar marks")
        if "/" in text:
            text = self._drop(_SOUND, text, "pronunciations")
        if "[" in text or "{" in text or "【" in text or "［" in text or "〔" in text:
            text = self._drop(_SQUARE, text, "remarks in brackets")
        while ("(" in text or "（" in text) and (shorter := self._drop(_ROUND, text, "remarks in brackets")) != text:
            text = shorter
        return text

    def _listed(self, text: str) -> list[str]:
        """Split a list at its commas; a sentence with commas stays whole."""
        if "," not in text and "，" not in text:
            return [text]
        parts = [part for part in _COMMA.split(text) if part.strip()]
        return [text] if any(len(part.split()) > _MOST_LISTED for part in parts) else parts

    def _cleaned(self, text: str) -> str:
        """Drop what is left of marks, and the whole text if it is none."""
        text = text.strip(_EDGES)
        if _PLAIN.fullmatch(text) and " - " not in text and "  " not in text:
            return self._kept(
                self._drop(_PLACEHOLDERS, text, _STAND_INS).strip() if _STANDS_IN.search(text) else text
            )
        if "~" in text:
            text = text.replace("~", " ")
        text = _SPACES.sub(" ", _NUMBER.sub("", text)).strip(_EDGES)
        if not text:
            return ""
        if "." in text or "!" in text or "?" in text:
            text = self._drop(_AFTER_STOP, text, "text after a full stop")
            text = self._drop(_GRAMMAR, f"{text} ", "grammar marks").strip()
        if " - " in text or "–" in text or "—" in text or "--" in text:
            text = self._drop(_AFTER_DASH, text, "explanations after a dash")
        if _STANDS_IN.search(text):
            text = self._drop(_PLACEHOLDERS, text, _STAND_INS)
        if _MARK.match(text):
            self.dropped["cross references and notes"] += 1
            return ""
        text = _SPACES.sub(" ", text).strip(_EDGES).rstrip("/").strip(_EDGES)
        return self._kept(text)

    def _kept(self, text: str) -> str:
        """The text in NFC if it is one, else an empty one with its reason counted."""
        if not text or (text.casefold() in MARKERS if text.isascii() else is_missing(text)):
            return ""
        if self.parts_joined_words and text.isalpha():
            text = _JOINED.sub(" ", text)
        if words(text) > MOST_WORDS:
            self.dropped[f"explanations of more than {MOST_WORDS} words"] += 1
            return ""
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
        if not _LETTER.search(text):
            self.dropped["texts without a letter"] += 1
            return ""
        if _DAMAGE.search(text):
            self.dropped["texts with an open bracket or a damaged letter"] += 1
            return ""
        return text

    def _drop(self, pattern: re.Pattern[str], text: str, reason: str) -> str:
        shorter, count = pattern.subn(" " if pattern is not _ROUND else "", text)
        if count:
            self.dropped[reason] += count
        return shorter


def completed(pairs: Iterable[Pair], lang: str, dropped: Counter[str]) -> Iterator[Pair]:
    """Yield pairs (text, English) of a dictionary in any direction as they are learnt from.

    English that says what a word is a form of becomes what that is; where it does not say that, the pair is dropped.
    Names that stand with an article come without it as well: people search for ``قطار``, not ``القطار``.

    Args:
        pairs: a cleaner's.
        lang: the language of the texts.
        dropped: counts pairs that are dropped, by reason.
    """
    article = _ARTICLES.get(lang.split("-")[0])
    for text, english in pairs:
        if form := _FORM_OF.match(english):
            english = english[form.end() :]
            if not english:
                dropped["cross references and notes"] += 1
                continue
        yield text, english
        if article is not None and words(text) <= _MOST_WITH_ARTICLE and (bare := article.sub("", text)) != text:
            yield bare, english


def words(text: str) -> int:
    """The number of words; of a script without spaces, of eight letters to a word."""
    count = text.count(" ") + 1
    return count if text.isascii() or count > 1 else max(count, len(text) // 8)
