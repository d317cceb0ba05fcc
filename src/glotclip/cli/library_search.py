"""Searching a library from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glotclip.cli.console import Console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from glotclip.library.answer import Answer
    from glotclip.library.encoder import LanguageGuess

_CANDIDATES_SHOWN = 6


def search_library(
    console: Console,
    library: Path | None,
    query: str | None,
    images: Sequence[Path],
    *,
    near: str | None,
    base: str | None,
    device: str,
    **asked: Any,
) -> None:
    """Ask a library, and print the answer. ``asked`` is what :meth:`Library.search` takes besides."""
    from glotclip import api

    with api.open_library(library, device=device, base=base) as opened:
        found = opened.search(query, image=list(images) or None, near=place_of(near), **asked)
        _show(found, query, console)
        console.result({"library": str(opened.path), "query": query, **found.record()})


def place_of(text: str | None) -> tuple[float, float, float] | None:
    """Read ``48.2,16.37,5``: degrees north, degrees east, kilometres.

    Raises:
        ConfigError: if it is anything else.
    """
    from glotclip.errors import ConfigError

    if not text:
        return None
    try:
        lat, lon, reach = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no place with a distance", hint="write degrees north, east and kilometres: 48.2,16.37,5"
        ) from error
    return lat, lon, reach


def _show(found: Answer, query: str | None, console: Console) -> None:
    from glotclip.evaluation.tables import Table
    from glotclip.storage import shown

    if found.guess and len(found.guess.probabilities) > 1:
        console.say(guessed(found.guess, found.weights))
    if found.missing:
        console.say(
            f"note: {found.missing:,} items were not encoded with {found.model}; `glotclip index --model` does it"
        )
    if not found.hits:
        console.say(f"{found.note}; --min-probability 0 shows what fits best all the same")
        return
    rows = tuple(
        (
            found.offset + place,
            f"{hit.score:.3f}",
            "" if hit.probability is None else f"{hit.words} ({hit.probability:.0%})",
            shown(hit.path)
            + ("" if hit.second is None else f" at {moment(hit.second)}")
            + (f" (and {len(hit.duplicates)} alike)" if hit.duplicates else ""),
        )
        for place, hit in enumerate(found.hits, start=1)
    )
    count = f"{found.total:,} hits" if found.total is not None else "the best"
    languages = f" ({', '.join(found.weights)})" if found.weights else ""
    title = f"{count} for “{query or 'the picture'}”{languages} among {found.searched:,} pictures and videos"
    console.table(Table(("#", "score", "match", "file"), rows, title=title))
    if found.more:
        console.say(f"more: --offset {found.offset + len(found.hits)}")


def moment(seconds: float) -> str:
    """Return a moment in a video as people write it: 1:05, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def guessed(guess: LanguageGuess, under: Mapping[str, float]) -> str:
    """What was guessed, how sure that is, and among which languages."""
    among = list(guess.probabilities)
    few = ", ".join(sorted(among[:_CANDIDATES_SHOWN])) + (" and others" if len(among) > _CANDIDATES_SHOWN else "")
    several = f"; ranked by {', '.join(under)} together, each score is of the one that fits best"
    fused = several if len(under) > 1 else ""
    if guess.sure or len(under) == 1:
        sure = "" if guess.sure else f", not surely ({guess.probabilities[guess.lang]:.0%})"
        return f"language guessed: {guess.lang}{sure}, among {few} (say it with --lang){fused}"
    shares = ", ".join(f"{code} {share:.0%}" for code, share in under.items())
    return f"language not sure, searched under all of these: {shares}; among {few} (say it with --lang){fused}"
