"""What in a corpus looks like a mistake, though every row of it can be used: warnings, never errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

from glotclip.data.digests import MOST, alike
from glotclip.data.schema import SPLITS, Corpus

#: A text under so many images, or so many texts with one English counterpart, and this share of a language's rows.
MANY, SHARE = 5, 0.001
_LONG = 60


def likely_mistakes(corpus: Corpus) -> tuple[str, ...]:
    """Return warnings about a corpus, each one sentence with a count and an example.

    - all texts of a language are the same one;
    - one text stands under many different images (a placeholder such as "no caption");
    - many different texts of different images have one English counterpart;
    - most texts of a language equal their English counterparts;
    - a row stands there more than once;
    - an image, video or group is in several splits, by path, or by content where there are few enough to compare.
    """
    return (
        *(said for lang in corpus.languages for said in _of_language(corpus, lang)),
        *_repeated(corpus),
        *_leaks(corpus),
    )


def _of_language(corpus: Corpus, lang: str) -> Iterator[str]:
    rows = [row for row in corpus.rows if row.lang == lang]
    texts = {row.text.casefold() for row in rows}
    if len(rows) > 1 and len(texts) == 1:
        yield f"all {len(rows):,} {lang} texts are the same: {_quoted(rows[0].text)}"
        return
    shown: dict[str, set[str]] = {}
    for row in rows:
        if row.key is not None:
            shown.setdefault(row.text, set()).add(row.key)
    for text, count, others in _widest({text: len(keys) for text, keys in shown.items()}, len(rows)):
        yield f"the {lang} text {_quoted(text)} stands under {count:,} different images{others}"
    paired = [row for row in rows if row.english is not None]
    by_english: dict[str, dict[str, str]] = {}
    for row in paired:  # several texts of one image may well have one English counterpart
        by_english.setdefault(row.english or "", {}).setdefault(row.key or row.text, row.text.casefold())
    counts = {english: len(set(texts.values())) for english, texts in by_english.items()}
    for english, count, others in _widest(counts, len(rows)):
        yield f"{count:,} different {lang} texts have one English counterpart, {_quoted(english)}{others}"
    equal = [row for row in paired if row.text.casefold() == (row.english or "").casefold()]
    if len(equal) >= MANY and 2 * len(equal) > len(rows):
        yield f"{len(equal):,} of {len(rows):,} {lang} texts equal their English, first {_quoted(equal[0].text)}"


def _widest(counts: Mapping[str, int], rows: int) -> Iterator[tuple[str, int, str]]:
    """Yield the text with the highest count, if it is many, and in words how many more such texts there are."""
    many = {
        text: count for text, count in counts.items() if count >= max(3, min(max(MANY, SHARE * rows), 0.5 * rows))
    }
    if many:
        text = max(many, key=lambda each: many[each])
        yield text, many[text], f" (and {len(many) - 1:,} more texts are such)" if len(many) > 1 else ""


def _repeated(corpus: Corpus) -> Iterator[str]:
    seen: set[object] = set()
    again = []
    for row in corpus.rows:
        mark = (row.lang, row.text, row.image, row.video, row.group, row.english, row.split)
        if mark in seen:
            again.append(row)
        seen.add(mark)
    if again:
        are = "rows are" if len(again) > 1 else "row is"
        yield f"{len(again):,} {are} there before word for word, first {again[0].lang} {_quoted(again[0].text)}"


def _leaks(corpus: Corpus) -> Iterator[str]:
    groups: dict[str, dict[str, None]] = {}
    media: dict[str, dict[Path, None]] = {}
    for row in corpus.rows:
        if row.group is not None:
            groups.setdefault(row.split, {})[row.group] = None
        for medium in (row.image, row.video):
            if medium is not None:
                media.setdefault(row.split, {})[medium] = None
    paths = [medium for own in media.values() for medium in own]
    same = alike(paths) if len(media) > 1 else {}
    for one, other in combinations(SPLITS, 2):
        ours, theirs = media.get(one, {}), media.get(other, {})
        yield from _in_both([str(medium) for medium in ours if medium in theirs], "image", one, other)
        if not ours.keys() & theirs.keys():  # a group is told of only where its images are not
            yield from _in_both(
                [group for group in groups.get(one, {}) if group in groups.get(other, {})], "group", one, other
            )
        copies = {same.get(medium, medium): medium for medium in theirs if medium not in ours}
        twins = [
            (medium, copies[same[medium]])
            for medium in ours
            if medium in same and medium not in theirs and same[medium] in copies
        ]
        if twins:
            first, second = twins[0]
            are = "images are copies of ones" if len(twins) > 1 else "image is a copy of one"
            yield f"{len(twins):,} {one} {are} in {other}, byte for byte, first {first} and {second}"
    if len(media) > 1 and len(paths) > MOST:
        yield f"whether images of several splits are copies of each other was not looked at: they are over {MOST:,}"


def _in_both(names: list[str], what: str, one: str, other: str) -> Iterator[str]:
    if names:
        are = f"{what}s are" if len(names) > 1 else f"{what} is"
        yield f"{len(names):,} {are} in {one} and in {other}, first {names[0]}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONG else f"{text[:_LONG]}…")
