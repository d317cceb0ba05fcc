"""The order in which languages are learnt: what comes late is forgotten least, so an order is part of a result."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from glotclip.errors import ConfigError

Order = Literal["given", "paper", "random", "script"]

#: CLL-CLIP's order (§4.1): English, then 35 languages shuffled once with seed 222 by the authors.
PAPER = (
    "en", "it", "de", "fil", "tr", "uk", "nl", "bn", "he", "fi", "sv", "quz", "fa", "mi", "fr", "el", "zh", "id",
    "sw", "no", "hi", "da", "te", "th", "pt", "ru", "ro", "pl", "hr", "es", "vi", "ar", "cs", "ko", "ja", "hu",
)  # fmt: skip

#: Codes that stand in for the paper's: data sets write some of its languages another way.
STAND_INS = {"qu": "quz", "nb": "no", "tl": "fil"}


def ordered(languages: Sequence[str], order: Order = "given", *, seed: int = 0) -> tuple[str, ...]:
    """Put languages into an order.

    Args:
        languages: the codes, each once.
        order: ``given``: as they are; ``paper``: as CLL-CLIP learns them; ``random``: shuffled; ``script``: grouped
            by the script they are mostly written in, scripts and languages in the order in which they are given.
        seed: of ``random``. The same languages in another given order are shuffled alike.

    Raises:
        ConfigError: if ``paper`` has no place for one of the languages.
    """
    if order == "given":
        return tuple(languages)
    if order == "random":
        shuffled = sorted(languages)
        random.Random(seed).shuffle(shuffled)
        return tuple(shuffled)
    if order == "script":
        scripts = {code: script_of(code) for code in languages}
        first = list(dict.fromkeys(scripts.values()))
        return tuple(sorted(languages, key=lambda code: first.index(scripts[code])))
    if strange := [code for code in languages if STAND_INS.get(code, code) not in PAPER]:
        raise ConfigError(
            f"the paper's order has no place for {', '.join(strange)}", hint="use order: given, random or script"
        )
    return tuple(sorted(languages, key=lambda code: PAPER.index(STAND_INS.get(code, code))))


def script_of(language: str) -> str:
    """The script a language is mostly written in, as ISO 15924 has it (``Latn``); ``Zzzz`` where nobody knows."""
    import langcodes

    return langcodes.get(language).maximize().script or "Zzzz"
