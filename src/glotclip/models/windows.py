"""Long texts in pieces that fit the context, cut where a reader would pause.

Shapes: T tokens of a text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal, cast, get_args

from glotclip.errors import ConfigError
from glotclip.models.tokenizer import Tokenizer

Long = Literal["cut", "mean"]  # what becomes of a text longer than the context

_SPACE, _SIGN, _LETTER, _NOWHERE = range(4)  # how good a place to cut is, best first


def check_long(long: str) -> Long:
    """Check what is to become of texts longer than the context, by the name that ``--long`` takes."""
    if long not in get_args(Long):
        raise ConfigError(f"unknown way with long texts {long!r}", hint="use cut or mean (--long mean)")
    return cast(Long, long)


def windows(tokenizer: Tokenizer, text: str) -> list[str]:
    """Cut a text into pieces, each of which fits the tokenizer's context; a text that fits is one piece.

    The pieces are as few as the context allows and about equally long: a remainder of one word would count as much
    as a whole window in their mean. They end at white space, or else at a sign that is no letter, where there is one
    in the later half; within a word only between whole characters, never before a combining mark or a joiner.
    """
    text, spans = tokenizer.spans(text)
    room = tokenizer.context_length - int(tokenizer.encode([""]).lengths[0])  # special tokens
    pieces: list[str] = []
    start = 0
    while start < len(spans):
        stop = _stop(text, spans, start, room)
        last = spans[stop][0] if stop < len(spans) else len(text)
        pieces += _fitting(tokenizer, text[spans[start][0] if pieces else 0 : last])
        start = stop
    return pieces or [text]


def _stop(text: str, spans: Sequence[tuple[int, int]], start: int, room: int) -> int:
    """The token before which a piece that begins at token ``start`` ends."""
    left = len(spans) - start
    if left <= room:
        return len(spans)
    count = -(-left // room)
    even = -(-left // count)
    places = range(start + max(1, even // 2), start + room + 1)
    return min(places, key=lambda place: (_rank(text, spans, place), abs(place - start - even)))


def _rank(text: str, spans: Sequence[tuple[int, int]], place: int) -> int:
    at = spans[place][0]
    if at < spans[place - 1][1]:  # two tokens of one character
        return _NOWHERE
    before, after = text[at - 1 : at], text[at : at + 1]
    if before.isspace() or after.isspace():
        return _SPACE
    if unicodedata.category(after)[0] == "M" or after in _JOINERS or before in _JOINERS:
        return _NOWHERE
    return _LETTER if before.isalnum() and after.isalnum() else _SIGN


_JOINERS = ("\u200c", "\u200d")


def _fitting(tokenizer: Tokenizer, piece: str) -> list[str]:
    """The piece, or halves of it where its end has become more tokens since it is the end of a word now."""
    if len(piece) < 2 or not tokenizer.encode([piece]).truncated:
        return [piece]
    middle = len(piece) // 2
    return [*_fitting(tokenizer, piece[:middle]), *_fitting(tokenizer, piece[middle:])]
