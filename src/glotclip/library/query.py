"""What is asked for: texts and pictures with weights, some of which push away.

In a text ``-word``, ``-"some words"``, ``not:word`` and ``not:"some words"`` push away.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from glotclip.errors import ConfigError
from glotclip.storage import printable
from glotclip.textforms import visible

LONGEST = 10_000  # characters of all texts together
MOST_TERMS = 32
#: How strongly a term pushes away, where 1 is the strength with which one attracts.
AWAY = -0.5
_NOT = re.compile(r"""(?:(?<=\s)|^)(?:-|not:\s?)(?:"([^"]*)"|([^\s"-][^\s"]*))""", re.IGNORECASE)

Picture = str | Path | Image.Image
Asked = str | tuple[str, float]


@dataclass(frozen=True, slots=True)
class Term:
    """A text, a picture, or an item of the library by its number, and its weight; a negative one pushes away."""

    content: str | Picture | int
    weight: float
    is_text: bool

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture that has to be read."""
        return not self.is_text and not isinstance(self.content, int)


def terms_of(
    query: Asked | Sequence[Asked] | None,
    image: Picture | Sequence[Picture] | None = None,
    like: Sequence[int] = (),
    unlike: Sequence[int] = (),
) -> tuple[Term, ...]:
    """Read a query.

    Args:
        query: a text, or several, each maybe with a weight (1 where none is given).
        image: a picture, or several, of weight 1.
        like: numbers of items, of weight 1.
        unlike: numbers of items that push away.

    Raises:
        ConfigError: if it is empty, too long, no UTF-8, has an impossible weight, or only pushes away.
    """
    texts: Sequence[Asked] = [] if query is None else [query] if isinstance(query, str | tuple) else query
    if sum(len(each if isinstance(each, str) else each[0]) for each in texts) > LONGEST:
        raise ConfigError(f"the query has more than {LONGEST:,} characters", hint="say it in a few words")
    if len(texts) > MOST_TERMS:
        raise _too_many()
    found: list[Term] = []
    for each in texts:
        text, weight = (each, 1.0) if isinstance(each, str) else each
        if not math.isfinite(weight) or weight == 0:
            raise ConfigError(f"impossible weight {weight} of a query", hint="give a number other than 0")
        found += _split(utf8(text), float(weight))
    pictures = [] if image is None else [image] if isinstance(image, str | Path | Image.Image) else list(image)
    found += [Term(picture, 1.0, is_text=False) for picture in pictures]
    found += [Term(int(item), 1.0, is_text=False) for item in like]
    found += [Term(int(item), AWAY, is_text=False) for item in unlike]
    if len(found) > MOST_TERMS:
        raise _too_many()
    if not found:
        raise ConfigError("the query is empty, or holds nothing that is seen", hint="say what the picture shows")
    if not any(term.weight > 0 for term in found):
        raise ConfigError("the query only says what is not wanted", hint="say also what the picture shows")
    return tuple(found)


def _split(text: str, weight: float) -> list[Term]:
    """The terms of one text: what it says, and what it pushes away."""
    away = [(quoted or word).strip() for quoted, word in _NOT.findall(text)]
    rest = " ".join(_NOT.sub(" ", text).split()) if away else text
    terms = [Term(rest, weight, is_text=True)] if visible(rest) else []
    return terms + [Term(each, AWAY * weight, is_text=True) for each in away if visible(each)]


def utf8(query: str) -> str:
    """Undo what an ASCII locale makes of arguments (PEP 383); what is no UTF-8 then is no text.

    Raises:
        ConfigError: if it is none.
    """
    try:
        return query.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError as error:
        raise ConfigError(
            f"the query {printable(query)!r} is not UTF-8", hint="check the terminal's encoding, e.g. LC_ALL=C.UTF-8"
        ) from error


def _too_many() -> ConfigError:
    return ConfigError(f"the query has more than {MOST_TERMS} terms", hint="leave some out")
