"""Translate captions word by word with FreeDict's dictionaries: the weakest translator that is one, wholly offline.

    apt-get install dict-freedict-eng-deu dict-freedict-deu-eng       # and the pairs of other languages
    pip install simplemma==2.0.0 wordfreq==3.1.1
    glotclip translate captions.txt de.txt --to de --engine "command:python benchmarks/gloss.py {source} {target}"

It stands where no offline engine translates a language both ways (docs/results.md, "PECT"). The longest phrase that
the dictionary has (four words at most, the last one also as its lemma) becomes one translation; word order stays, and
so does what is not found. Of several translations it takes one that the opposite dictionary leads back from, of as
many words, and frequent in its language. One line in, one line out.
"""

from __future__ import annotations

import gzip
import re
import sys
from functools import lru_cache
from pathlib import Path

FOLDER = Path("/usr/share/dictd")
NAMES = {"en": "eng", "de": "deu", "sv": "swe", "fi": "fin", "hu": "hun"}
LONGEST = 4
FREQUENT = 5.0  # on Zipf's scale of 0 to 8; of words above it the dictionary's first is taken
#: The Hungarian dictionaries were once read in the wrong encoding.
MENDED = {"hu": str.maketrans("ôûÔÛ", "őűŐŰ")}
_DIGITS = {sign: n for n, sign in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}
_NUMBER = re.compile(r"(?:\d+\.\s*)+")
_ASIDE = re.compile(r"/[^/]*/|<[^>]*>|\[[^\]]*\]|\([^)]*\)|\{[^}]*\}")
_TOKEN = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]")


class Dictionary:
    """One direction of FreeDict in dictd's format: an index of places in a gzipped text.

    Args:
        source: code of the headwords' language, one of ``NAMES``.
        target: code of the translations' language.
        folder: where ``freedict-eng-deu.index`` and ``.dict.dz`` lie.
    """

    def __init__(self, source: str, target: str, folder: Path = FOLDER) -> None:
        name = f"freedict-{NAMES[source]}-{NAMES[target]}"
        self._mended = MENDED.get(source) or MENDED.get(target, {})
        self._text = gzip.decompress((folder / f"{name}.dict.dz").read_bytes())
        self._places: dict[str, list[tuple[int, int]]] = {}
        for line in (folder / f"{name}.index").read_text(encoding="utf-8").translate(self._mended).splitlines():
            word, start, size = line.split("\t")[:3]
            if not word.startswith("00-database"):
                self._places.setdefault(word.lower(), []).append((number(start), number(size)))

    def translations(self, word: str) -> list[list[str]]:
        """Return what each entry of a headword offers, in the entry's order; letter case does not matter."""
        entries = (
            self._text[start : start + size].decode().translate(self._mended)
            for start, size in self._places.get(word.lower(), ())
        )
        return [found for entry in entries if (found := offered(entry))]


def number(digits: str) -> int:
    """Read a number as dictd writes it: base 64, most significant digit first."""
    value = 0
    for digit in digits:
        value = value * 64 + _DIGITS[digit]
    return value


def offered(entry: str) -> list[str]:
    """Return the translations in an entry: of its first line below the headword, and of every numbered one.

    Lines between those are definitions, examples, notes and synonyms.
    """
    lines = entry.splitlines()[1:]
    chosen = [line for place, line in enumerate(lines) if place == 0 or _NUMBER.match(line)]
    parts = (part for line in chosen for part in re.split(r"[,;]", _ASIDE.sub("", _NUMBER.sub("", line, count=1))))
    return [text for part in parts if (text := " ".join(part.split())) and "see:" not in text]


class Glosser:
    """Translates texts word by word.

    Args:
        source: code of the texts' language.
        target: code of the language to translate into.
        folder: of the dictionaries, both directions.
    """

    def __init__(self, source: str, target: str, folder: Path = FOLDER) -> None:
        self.source, self.target = source, target
        self._there, self._back = Dictionary(source, target, folder), Dictionary(target, source, folder)
        self._best = lru_cache(maxsize=None)(self._find)

    def translate(self, text: str) -> str:
        """Return the text with every phrase that is known translated."""
        tokens, done = _TOKEN.findall(text), list[str]()
        while tokens:
            for size in range(min(LONGEST, len(tokens)), 0, -1):
                found = self._best(" ".join(tokens[:size]))
                if found or size == 1:
                    done.append(found or tokens[0])
                    del tokens[:size]
                    break
        return re.sub(r"\s+(?=[,.:;!?)])", "", " ".join(done))

    def _find(self, phrase: str) -> str | None:
        """Return the best translation of a phrase as it stands, else of its lemma."""
        import simplemma

        *before, last = phrase.split()
        lemma = " ".join([*before, simplemma.lemmatize(last, lang=self.source)])
        for word in dict.fromkeys((phrase, lemma)):
            candidates = dict.fromkeys(text for entry in self._there.translations(word) for text in entry)
            if candidates:
                return max(candidates, key=lambda text: self._worth(text, word))
        return None

    def _worth(self, text: str, word: str) -> float:
        from wordfreq import zipf_frequency

        back = any(word.lower() in map(str.lower, entry) for entry in self._back.translations(text))
        longer = abs(len(text.split()) - len(word.split()))
        frequency: float = zipf_frequency(text, self.target)
        return 10.0 * back - 3.0 * longer + min(frequency, FREQUENT)


def main() -> None:
    """Translate standard input to standard output."""
    if len(sys.argv) not in (3, 4) or not {*sys.argv[1:3]} <= set(NAMES):
        sys.exit(f"usage: gloss.py SOURCE TARGET [FOLDER]; languages: {', '.join(NAMES)}")
    glosser = Glosser(sys.argv[1], sys.argv[2], Path(sys.argv[3]) if len(sys.argv) == 4 else FOLDER)
    for line in sys.stdin:
        print(glosser.translate(line))


if __name__ == "__main__":
    main()
