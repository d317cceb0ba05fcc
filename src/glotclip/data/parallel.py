"""Checks on parallel text: that line k of every file says the same thing, in the language the file claims.

Released corpora break this silently: one file under two names (PECT's Korean translations of XTD10 are its Italian
ones), a translator that left lines empty or cut them, rows that slid. Each finding is a record of what, where and how
many; some are faults, others are facts that a reader of results should know, such as the share of machine
translations that equal the human ones, for which an alignment loss has nothing to learn.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from glotclip.data import lengths

HUMAN, FROM_ENGLISH, TO_ENGLISH = "human", "from_english", "to_english"


class Kind(StrEnum):
    """What a finding is about."""

    ROWS = "row counts differ"
    SAME_TEXT = "same text under two languages"
    SCRIPT = "wrong script"
    LANGUAGE = "wrong language"
    EQUAL = "machine text equal to the human text"
    EMPTY = "empty lines"
    TRUNCATED = "truncated lines"
    SLID = "lines out of step with English"
    DUPLICATE = "repeated lines"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Text:
    """One file of a parallel corpus.

    Attributes:
        where: the file, or what else names the text.
        split: texts of one split are aligned line by line.
        lang: the language it belongs to; machine translations into English belong to the language they come from.
        lines: the captions.
        kind: :data:`HUMAN`, :data:`FROM_ENGLISH` or :data:`TO_ENGLISH`.
    """

    where: str
    split: str
    lang: str
    lines: Sequence[str]
    kind: str = HUMAN

    @property
    def written_in(self) -> str:
        """The language of the lines themselves."""
        return "en" if self.kind == TO_ENGLISH else self.lang


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in a parallel corpus.

    Attributes:
        kind: what.
        where: the file.
        lang: the language it belongs to.
        count: how many lines.
        total: of how many.
        fault: whether the text should not be used as it is; else it is worth knowing.
        detail: one sentence more, with the numbers of the first lines where that helps.
    """

    kind: Kind
    where: str
    lang: str
    count: int
    total: int
    fault: bool
    detail: str = ""

    def __str__(self) -> str:
        share = f"{self.count:,} of {self.total:,}"
        return f"{self.where}: {self.kind.value}, {share}" + (f" ({self.detail})" if self.detail else "")


# Two texts with this share of lines in common are taken for one; human captions of two languages share almost none.
_SAME_SHARE = 0.5
# A machine text that equals the human one this often is the human one.
_COPIED_SHARE = 0.9
_SCRIPT_FAULT, _LANGUAGE_FAULT = 0.05, 0.25
# Single captions are too short to tell close languages apart; ten together are not.
_LINES_A_GUESS, _GUESSES = 10, 60
_EMPTY_FAULT, _TRUNCATED_FAULT = 0.001, 0.05
_SHOWN = 5
# Macrolanguages and close pairs that a language guesser mixes up: finding one for the other is no fault.
_CLOSE = tuple(
    frozenset(codes.split()) for codes in ("no nb nn da", "hr sr bs sh", "id ms jv", "zh yue wuu", "gl pt", "cs sk")
)


def check(texts: Iterable[Text], *, aligned: bool = True, language: bool | None = None) -> list[Finding]:
    """Check texts alone and against each other; the iterable is gone through once, a text at a time.

    Args:
        texts: all files of the corpus.
        aligned: whether line k of all texts of a split says the same thing; else their numbers of lines are free.
        language: guess each text's language with py3langid; ``None``: if it is installed. That it was not done is
            itself a finding.

    Returns:
        Findings, faults first, otherwise in the order of the texts.

    Raises:
        MissingExtraError: if ``language`` is true and py3langid is not installed.
    """
    guess = importlib.util.find_spec("py3langid") is not None if language is None else language
    findings: list[Finding] = []
    digests: list[_Digest] = []
    for text in texts:
        findings += _alone(text)
        if guess:
            findings += _wrong_language(text)
        digests.append(_Digest.of(text))
        findings += [finding for finding in _against(digests[-1], digests[:-1]) if finding is not None]
    findings += _by_length(digests, aligned)
    findings += _row_counts(digests) if aligned else []
    if not guess and digests:
        why = "languages: py3langid is not installed" if language is None else "languages, as asked"
        findings.append(Finding(Kind.UNCHECKED, "all texts", "", 0, len(digests), False, why))
    return sorted(findings, key=lambda finding: not finding.fault)


def wrong_script(lines: Sequence[str], lang: str) -> int:
    """Count the lines in which fewer than half the letters belong to a script of ``lang``.

    Lines without letters count as right.
    """
    letters, own = _letters(), _script_letters(lang)
    wrong = 0
    for line in lines:
        total = len(letters.findall(line))
        wrong += total > 0 and 2 * len(own.findall(line)) < total
    return wrong


@dataclass(frozen=True, slots=True)
class _Digest:
    """What is kept of a text to compare it with the others: two numbers a line instead of the line."""

    text: Text
    rows: int
    lines: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    cut: tuple[int, ...]

    @classmethod
    def of(cls, text: Text) -> _Digest:
        hashes = np.fromiter((hash(line.strip()) for line in text.lines), np.int64, len(text.lines))
        bare = Text(text.where, text.split, text.lang, (), text.kind)
        return cls(bare, len(text.lines), hashes, lengths.of(text.lines), tuple(lengths.cut(text.lines)))


def _alone(text: Text) -> list[Finding]:
    """Empty and repeated lines, and the script."""
    total = len(text.lines)
    empty = [index for index, line in enumerate(text.lines) if not line.strip()]
    counted = Counter(line for line in text.lines if line.strip())
    repeated = total - len(empty) - len(counted)
    wrong = wrong_script(text.lines, text.written_in)
    findings = []
    if empty:
        fault = len(empty) > _EMPTY_FAULT * total
        findings.append(_finding(Kind.EMPTY, text, len(empty), fault, _first(empty)))
    if repeated:
        line, times = counted.most_common(1)[0]
        findings.append(_finding(Kind.DUPLICATE, text, repeated, False, f"one {times} times: {line[:60]!r}"))
    if wrong:
        detail = f"fewer than half the letters are of a script of {text.written_in}"
        findings.append(_finding(Kind.SCRIPT, text, wrong, wrong > _SCRIPT_FAULT * total, detail))
    return findings


def _against(new: _Digest, earlier: Sequence[_Digest]) -> list[Finding | None]:
    """Compare a text with those of its split that came before."""
    found: list[Finding | None] = []
    for old in earlier:
        if old.text.split != new.text.split:
            continue
        kinds = {old.text.kind, new.text.kind}
        if len(kinds) == 1 and old.text.lang != new.text.lang:
            found.append(_same_text(new, old))
        elif HUMAN in kinds and len(kinds) == 2 and old.text.written_in == new.text.written_in:
            human, machine = (old, new) if old.text.kind == HUMAN else (new, old)
            found.append(_equal(machine, human))
    return found


def _same_text(new: _Digest, old: _Digest) -> Finding | None:
    """Compare the lines as sets, which also finds copies that slid or were shortened."""
    mine, theirs = np.unique(new.lines), np.unique(old.lines)
    common = np.intersect1d(mine, theirs, assume_unique=True).size
    if common < 2 or common < _SAME_SHARE * min(mine.size, theirs.size):
        return None
    count = int(np.isin(new.lines, theirs).sum())
    return _finding(Kind.SAME_TEXT, new.text, count, True, f"the other is {old.text.where}", new.rows)


def _equal(machine: _Digest, human: _Digest) -> Finding | None:
    if machine.rows != human.rows:
        return None  # said by the row counts
    count = int((machine.lines == human.lines).sum())
    if not count:
        return None
    detail = f"compared with {human.text.where}"
    return _finding(Kind.EQUAL, machine.text, count, count >= _COPIED_SHARE * machine.rows, detail, machine.rows)


def _row_counts(digests: Sequence[_Digest]) -> list[Finding]:
    """Name the texts of each split that differ from the most frequent number of rows."""
    found = []
    for split in dict.fromkeys(digest.text.split for digest in digests):
        of = [digest for digest in digests if digest.text.split == split]
        usual = Counter(digest.rows for digest in of).most_common(1)[0][0]
        for digest in of:
            if digest.rows != usual:
                detail = f"the other files of {split or 'the folder'} have {usual:,}"
                found.append(
                    Finding(Kind.ROWS, digest.text.where, digest.text.lang, digest.rows, usual, True, detail)
                )
    return found


def _wrong_language(text: Text) -> list[Finding]:
    """Guess the language of evenly spaced runs of lines, and compare with what the text claims."""
    wanted = _standard(text.written_in)
    if wanted not in _guessable():
        detail = f"py3langid does not know {text.written_in}"
        return [_finding(Kind.UNCHECKED, text, 0, False, detail)]
    full = [line for line in text.lines if line.strip()]
    runs = [full[start : start + _LINES_A_GUESS] for start in range(0, len(full), _LINES_A_GUESS)]
    step = max(1, len(runs) // _GUESSES)
    chosen = runs[::step]
    guesses = Counter(_guess("\n".join(run)) for run in chosen)
    wrong = {code: count for code, count in guesses.items() if not _near(code, wanted)}
    if not wrong or sum(wrong.values()) < 0.1 * len(chosen):
        return []  # a stray guess among many says more about the guesser
    share = sum(wrong.values()) / len(chosen)
    most = max(wrong, key=wrong.__getitem__)
    detail = f"looks like {most} in {wrong[most]} of {len(chosen)} samples; the file claims {text.written_in}"
    return [_finding(Kind.LANGUAGE, text, round(share * len(text.lines)), share > _LANGUAGE_FAULT, detail)]


def _by_length(digests: Sequence[_Digest], aligned: bool) -> Iterator[Finding]:
    """Judge each text's lengths by those of the English captions of its split."""
    english = {
        digest.text.split: digest for digest in digests if (digest.text.kind, digest.text.lang) == (HUMAN, "en")
    }
    for digest in digests:
        text, cut = digest.text, set(digest.cut)
        other = english.get(text.split) if aligned else None
        if other is not None and other is not digest and other.rows == digest.rows:
            blocks = lengths.slid(digest.sizes, other.sizes)
            if blocks:
                count = sum(end - start for start, end in blocks)
                detail = f"from about line {blocks[0][0] + 1}"
                yield _finding(Kind.SLID, text, count, True, detail, digest.rows)
            else:
                cut |= set(lengths.short(digest.sizes, other.sizes))
        if cut:
            fault = len(cut) > _TRUNCATED_FAULT * digest.rows
            yield _finding(Kind.TRUNCATED, text, len(cut), fault, _first(sorted(cut)), digest.rows)


def _finding(kind: Kind, text: Text, count: int, fault: bool, detail: str, total: int | None = None) -> Finding:
    return Finding(kind, text.where, text.lang, count, len(text.lines) if total is None else total, fault, detail)


def _first(indices: Sequence[int]) -> str:
    shown = ", ".join(str(index + 1) for index in indices[:_SHOWN])
    return f"line{'s' if len(indices) > 1 else ''} {shown}" + (", …" if len(indices) > _SHOWN else "")


@lru_cache
def _letters() -> Any:
    import regex  # type: ignore[import-untyped]

    return regex.compile(r"\p{L}")


@lru_cache
def _script_letters(lang: str) -> Any:
    """Return a pattern for one letter of the scripts that ``lang`` is written in."""
    import langcodes
    import regex

    script = langcodes.Language.get(lang).maximize().script or "Latn"
    several = {"Jpan": ("Hira", "Kana", "Hani"), "Kore": ("Hang", "Hani"), "Hans": ("Hani",), "Hant": ("Hani",)}
    names = several.get(script, (script,))
    own = "".join(rf"\p{{Script={name}}}" for name in names)
    # The long mark of kana belongs to no single script, but is a letter.
    return regex.compile(rf"[{own}{'ー' if script == 'Jpan' else ''}]")


@lru_cache(maxsize=512)
def _standard(code: str) -> str:
    """Bring codes of single languages and their groups to one spelling (``quz`` → ``qu``, ``tl`` → ``fil``)."""
    import langcodes

    return str(langcodes.Language.get(langcodes.standardize_tag(code, macro=True)).language)


def _near(code: str, wanted: str) -> bool:
    return code == wanted or any(code in group and wanted in group for group in _CLOSE)


@lru_cache
def _guessable() -> frozenset[str]:
    return frozenset(_standard(code) for code, _ in _langid().rank("text"))


def _guess(text: str) -> str:
    return _standard(str(_langid().classify(text)[0]))


def _langid() -> Any:
    from glotclip.errors import require

    return require("py3langid", extra="search", purpose="guessing a text's language")
