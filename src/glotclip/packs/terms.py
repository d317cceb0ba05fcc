"""Terms that travel: what the licences of its training data ask of whoever passes a pack on."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

from glotclip.errors import GlotclipWarning
from glotclip.packs.manifest import Manifest, sources_of

_ASKS = (
    (re.compile(r"-NC\b|non-?commercial|\bresearch\b", re.IGNORECASE), "no commercial use"),
    (re.compile(r"GPL|-SA\b|share-?alike", re.IGNORECASE), "the same terms for what is made of it"),
    (re.compile(r"-ND\b", re.IGNORECASE), "no changed versions"),
)


class TermsWarning(GlotclipWarning):
    """What is about to be written was made from texts whose licence binds whoever passes it on."""


def asked_by(licence: str) -> tuple[str, ...]:
    """What a licence asks of what is made from a work, beyond naming it; empty where that is nothing."""
    return tuple(what for pattern, what in _ASKS if pattern.search(licence))


def bound(manifests: Iterable[Manifest]) -> list[str]:
    """Return a line for each language and source of packs whose licence asks for something."""
    found: dict[str, None] = {}
    for manifest in manifests:
        for code, facts in manifest.data.items():
            for source in sources_of(facts):
                if asks := asked_by(source["licence"]):
                    found[f"{code}: {source['name']} ({source['licence']}) asks for {' and '.join(asks)}"] = None
    return list(found)


def warn_of_terms(manifests: Iterable[Manifest]) -> None:
    """Warn before packs are passed on, where the licence of their training data asks for something."""
    if lines := bound(manifests):
        said = "; ".join(lines)
        warnings.warn(TermsWarning(f"learnt from texts whose terms go with the packs: {said}"), stacklevel=3)
