"""Guessing a text's language among those that are installed, and saying how sure the guess is.

The script decides first: only languages stay that write the text's letters. Among those decide the texts that the
packs were taught on (:mod:`glotclip.packs.language_profile`), and for Chinese characters, in which country's
character set each is. Where that leaves several, it counts how much of the text is in words that each is known to
have, such as those of a pack's glossary. A language without a profile keeps the share that py3langid gives it, if
that is installed, or else an equal share. Where nothing speaks for any language, all are equally likely, and the
guess is not sure.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glotclip.errors import ConfigError, require
from glotclip.languages import check_installed
from glotclip.models.tokens import Tokens
from glotclip.packs.glossary import known_words
from glotclip.packs.language_profile import NgramModel, Profile, built_in, plain

AUTO = "auto"  # the language that is guessed

_SCRIPTS = {
    "Jpan": ("Hira", "Kana", "Hani"),
    "Kore": ("Hang",),  # Chinese characters are rare in it, and hardly ever all of a text
    "Hans": ("Hani",),
    "Hant": ("Hani", "Bopo"),
    "Hanb": ("Hani", "Bopo"),
    "Hrkt": ("Hira", "Kana"),
    "Jamo": ("Hang",),
    "Aran": ("Arab",),
    "Latf": ("Latn",),
    "Latg": ("Latn",),
    "Cyrs": ("Cyrl",),
    "Geok": ("Geor",),
}
# What a letter counts: words of the Latin script stand in texts of all others, and an ideograph is half a word.
_WEIGHTS = {"Latn": 0.25, "Hani": 2.0, "Hira": 2.0, "Kana": 2.0, "Hang": 2.0}
_READ = 1000  # characters of a text that are looked at
_CACHED = 20_000
_PLAUSIBLE, _FUSED = 0.01, 6
# The national standards, as Python's codecs have them, say which characters a country writes.
_CHARACTER_SETS = {"Hans": "gb2312", "Hant": "big5", "Jpan": "shift_jis"}
_CANTONESE = "big5hkscs"


@dataclass(frozen=True)
class GuessSettings:
    """How evidence is weighed; the defaults were chosen on validation concepts by ``benchmarks/language_guess.py``.

    Attributes:
        temperature: factor of the n-gram model's log-likelihoods, which are too certain of themselves.
        outside: nats against a language for each Chinese character that its countries' character set lacks.
        detector: factor of py3langid's scores, which are too certain of themselves as well.
        listed: nats for a language, all words of which a text is made are known to be its own
            (``benchmarks/guess_glossary.py``).
        margin: a guess at least this probable is sure.
        likely: where it is not, languages at least this probable are encoded along,
        fused: but no more than so many.
    """

    temperature: float = 0.3
    outside: float = 4.0
    detector: float = 0.2
    listed: float = 6.0
    margin: float = 0.7
    likely: float = 0.05
    fused: int = 4


@dataclass(frozen=True)
class Guess:
    """In which language a text is.

    Attributes:
        lang: the most probable one.
        probabilities: of all candidates, the most probable first.
        sure: whether ``lang`` can be relied on.
        likely: the languages to encode the text under and the weight of each, which add up to 1; only ``lang``, where
            that is sure.
    """

    lang: str
    probabilities: Mapping[str, float]
    sure: bool
    likely: Mapping[str, float]

    @property
    def plausible(self) -> dict[str, float]:
        """The languages to fuse rankings of, and the weight of each: also those that are hardly likely.

        Fused as a mixture (:mod:`glotclip.gallery.fusion`) a wrong language costs next to nothing, so what is left
        out is left out to save time: what is less than a hundredth probable, and more than six.
        """
        kept = {code: share for code, share in list(self.probabilities.items())[:_FUSED] if share >= _PLAUSIBLE}
        return {code: share / sum(kept.values()) for code, share in kept.items()} if kept else dict(self.likely)


class Guesser:
    """Guesses among some languages; safe to use from several threads.

    Args:
        profiles: the candidates, each with its profile, or None where there is none. Of equally probable ones the
            first is taken.
        settings: how evidence is weighed.
        listed: of some candidates, how much of a text is in words that the language is known to have, from 0 to 1.
    """

    def __init__(
        self,
        profiles: Mapping[str, Profile | None],
        settings: GuessSettings = GuessSettings(),
        listed: Mapping[str, Callable[[str], float]] | None = None,
    ) -> None:
        self.settings = settings
        self._listed = dict(listed or {})
        self.codes = tuple(profiles)
        known = [profile for profile in profiles.values() if profile is not None]
        self._profiled = np.array([profile is not None for profile in profiles.values()], dtype=bool)
        self._model = NgramModel(known)
        self._letters: dict[str, NDArray[np.float64]] = {}  # threads may fill in the same value twice
        self._writes = [_Writing.of(code, profile) for code, profile in profiles.items()]

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """Guess the language of each text."""
        return [self._guess(text) for text in texts]

    def _guess(self, text: str) -> Guess:
        shares = self.probabilities(text)
        found = {self.codes[place]: float(shares[place]) for place in np.argsort(-shares, kind="stable")}
        (best, share), *_ = found.items()
        if share >= self.settings.margin:
            return Guess(best, found, sure=True, likely={best: 1.0})
        top = dict(list(found.items())[: self.settings.fused])
        kept = {code: share for code, share in top.items() if share >= self.settings.likely} or top
        return Guess(best, found, sure=False, likely={code: each / sum(kept.values()) for code, each in kept.items()})

    def probabilities(self, text: str) -> NDArray[np.float64]:
        """The probability of each candidate (L,)."""
        shares = self._by_letters(text)
        # Glossaries are read only where they can change which language is the best.
        rivals = np.flatnonzero(shares >= shares.max() * np.exp(-self.settings.listed))
        if len(rivals) < 2 or not any(self.codes[place] in self._listed for place in rivals):
            return shares
        told = [self._listed.get(self.codes[place]) for place in rivals]
        known = np.array([np.nan if share is None else share(text[:_READ]) for share in told])
        if np.isnan(known).all():
            return shares
        known = np.where(np.isnan(known), np.nanmean(known), known)
        shares[rivals] *= np.exp(self.settings.listed * (known - known.max()))
        return np.asarray(shares / shares.sum())

    def _by_letters(self, text: str) -> NDArray[np.float64]:
        """The probabilities by script and spelling (L,)."""
        seen = plain(text)[:_READ]
        # What the text's letters count for each candidate, and how many are outside its character set (L,).
        counts, outside = sum((self._letter(letter) for letter in seen), start=np.zeros((2, len(self.codes))))
        # Candidates that write all of the text's letters, or the most of them; none, where none writes any.
        written = (counts > 0) & (counts >= counts.max() - 1e-9)
        if len(self.codes) == 1 or not written.any():
            return np.full(len(self.codes), 1 / len(self.codes))
        scores = np.zeros(len(self.codes))
        profiled = self._profiled & written
        if not profiled.all() and (written & ~self._profiled).any():
            scores = self.settings.detector * _detected(text, self.codes)
        prior = _softmax(np.where(written, scores, -np.inf))
        if not profiled.any():
            return prior
        evidence = np.full(len(self.codes), -np.inf)
        evidence[self._profiled] = self.settings.temperature * self._model.log_likelihood(seen)
        evidence -= self.settings.outside * outside
        shares = _softmax(np.where(profiled, np.log(np.maximum(prior, 1e-300)) + evidence, -np.inf))
        return np.where(profiled, shares * prior[profiled].sum(), prior)

    def _letter(self, letter: str) -> NDArray[np.float64]:
        """What a character counts for each candidate, and whether it is outside its character set (2, L)."""
        found = self._letters.get(letter)
        if found is None:
            found = np.array([[each.weight(letter), each.lacks(letter)] for each in self._writes], dtype=float).T
            if len(self._letters) >= _CACHED:
                self._letters = {}
            self._letters[letter] = found
        return found


def guesser_among(
    languages: Sequence[str],
    taught: Mapping[str, Profile],
    shares: Mapping[str, Callable[[str], float]],
    tokenized: Callable[[Sequence[str]], Tokens],
) -> Guesser:
    """The guesser among the languages of a model.

    Args:
        languages: the candidates.
        taught: the profiles that packs brought; of other languages the built-in ones are taken.
        shares: as :func:`glotclip.packs.glossary.known_words` takes them, and
        tokenized: likewise.
    """
    profiles = {code: taught[code] if code in taught else built_in(code) for code in languages}
    return Guesser(profiles, listed=known_words(shares, languages, tokenized))


def shares_of(
    texts: Sequence[str],
    lang: str | Sequence[str],
    installed: Sequence[str],
    guess: Callable[[Sequence[str]], Sequence[Guess]],
) -> list[Mapping[str, float]]:
    """The languages that each text is encoded under, and their weights, which add up to 1.

    Args:
        texts: M texts.
        lang: the language of all of them, or one code a text; "auto" is guessed.
        installed: the languages there are.
        guess: guesses among them.

    Raises:
        ConfigError: if there are not as many codes as texts.
        LanguageError: if a language is not installed.
    """
    codes = [lang] * len(texts) if isinstance(lang, str) else list(lang)
    if len(codes) != len(texts):
        raise ConfigError(
            f"{len(texts)} texts but {len(codes)} language codes", hint="give one code, or one for each text"
        )
    said = [lang] if isinstance(lang, str) else codes  # a wrong code is an error without any text, too
    known = {code: {check_installed(code, installed): 1.0} for code in dict.fromkeys(said) if code != AUTO}
    unknown = [row for row, code in enumerate(codes) if code == AUTO]
    guesses = dict(zip(unknown, guess([texts[row] for row in unknown]), strict=True)) if unknown else {}
    return [guesses[row].likely if code == AUTO else known[code] for row, code in enumerate(codes)]


def scripts_of(code: str) -> tuple[str, ...]:
    """The scripts whose letters a language is written in, as Unicode names them, by CLDR's likely subtags."""
    script = _script(code)
    return _SCRIPTS.get(script, (script,))


def _script(code: str) -> str:
    from langcodes import Language

    return Language.get(code).maximize().script or ""


@dataclass(frozen=True)
class _Writing:
    """How a language is written: its scripts by CLDR, or the very letters of its profile where those differ."""

    scripts: tuple[str, ...]
    letters: frozenset[str]
    character_set: str | None

    @classmethod
    def of(cls, code: str, profile: Profile | None) -> _Writing:
        script, scripts = _script(code), scripts_of(code)
        letters: frozenset[str] = frozenset()
        if profile is not None:
            seen = {
                letter: count
                for letter, count in profile.counts.items()
                if len(letter) == 1 and unicodedata.category(letter)[0] in "LM"
            }
            expected = sum(count for letter, count in seen.items() if _script_among(letter, scripts))
            if expected < sum(seen.values()) / 2:
                letters = frozenset(seen)
        character_set = _CHARACTER_SETS.get(script)
        if character_set == _CHARACTER_SETS["Hant"] and (
            code.startswith("yue") or {"HK", "MO"} & set(code.split("-"))
        ):
            character_set = _CANTONESE
        return cls(scripts, letters, None if letters else character_set)

    def weight(self, letter: str) -> float:
        """What a character counts if this language writes it as a letter, else 0."""
        if unicodedata.category(letter)[0] not in "LM":
            return 0.0
        script = _script_among(letter, self.scripts)
        return _WEIGHTS.get(script, 1.0) if script or letter in self.letters else 0.0

    def lacks(self, letter: str) -> bool:
        """Whether a character is a Chinese one that is not in the character set of the language's countries."""
        if self.character_set is None or not _script_among(letter, ("Hani",)):
            return False
        try:
            letter.encode(self.character_set)
        except UnicodeEncodeError:
            return True
        return False


def _script_among(letter: str, scripts: tuple[str, ...]) -> str:
    """The first of some scripts that a letter is used in (Unicode's Script_Extensions); "" if in none."""
    return next((script for script in scripts if (rule := _rule(script)) and rule.fullmatch(letter)), "")


@cache
def _rule(script: str) -> Any:
    import regex  # type: ignore[import-untyped]

    try:
        return regex.compile(rf"\p{{scx={script}}}")
    except regex.error:  # a script that Unicode has no letters of
        return None


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(scores - scores.max())
    return np.asarray(shares / shares.sum())


def _detected(text: str, codes: Sequence[str]) -> NDArray[np.float64]:
    """py3langid's score of each language (L,), the mean for those it does not know; zeros where it is missing."""
    scores = np.zeros(len(codes))
    if importlib.util.find_spec("py3langid") is None:
        return scores
    langid: Any = require("py3langid", extra="search", purpose="guessing a text's language")
    ranked = dict(langid.rank(text))
    found = np.array([ranked.get(code.split("-")[0], np.nan) for code in codes])
    if np.isnan(found).all():
        return scores
    return np.where(np.isnan(found), np.nanmean(found), found)
