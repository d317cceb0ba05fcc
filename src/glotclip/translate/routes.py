"""From one language to another over the pairs there are, directly or through others."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from glotclip.errors import LanguageError

Pair = tuple[str, str]


def route(pairs: Collection[Pair], source: str, target: str, *, engine: str, hint: str) -> list[Pair]:
    """Return the shortest chain of ``pairs`` from ``source`` to ``target``; among equals the first in ``pairs``.

    A code with script or region is met by the plain language where it is not there itself: ``pt-BR`` by ``pt``.

    Raises:
        LanguageError: if there is no chain; it names what can be reached.
    """
    start, goal = available(source, [pair[0] for pair in pairs]), available(target, [pair[1] for pair in pairs])
    came_from: dict[str, Pair] = {}
    frontier = [start] if start is not None else []
    reached = list(frontier)
    while frontier:
        following = []
        for code in frontier:
            for pair in pairs:
                if pair[0] == code and pair[1] not in reached:
                    came_from[pair[1]] = pair
                    reached.append(pair[1])
                    following.append(pair[1])
        frontier = following
    if goal not in came_from:
        there = f"from {source!r} it reaches {', '.join(reached[1:])}" if reached else f"it does not know {source!r}"
        raise LanguageError(f"{engine} does not translate from {source!r} into {target!r}: {there}", hint=hint)
    chain = [came_from[goal]]
    while chain[0][0] != start:
        chain.insert(0, came_from[chain[0][0]])
    return chain


def available(code: str, codes: Sequence[str]) -> str | None:
    """Return ``code`` as one of ``codes``: itself, shortened from the right, or None."""
    parts = code.split("-")
    shortened = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((short for short in shortened if short in codes), None)
