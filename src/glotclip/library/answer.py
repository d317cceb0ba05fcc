"""The answer of a library to a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glotclip.library.calibration import in_words
from glotclip.library.encoder import LanguageGuess
from glotclip.library.records import Item


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture or video that fits.

    Attributes:
        about: what is known of it.
        score: cosine with the query, from −1 to 1, in the language that suits it.
        probability: that it is what was asked for; None where the library is too small to tell.
        second: where in a video.
        duplicates: the numbers of items that look the same and are not listed on their own.
    """

    about: Item
    score: float
    probability: float | None
    second: float | None
    duplicates: tuple[int, ...] = ()

    @property
    def item(self) -> int:
        """Its number in the library."""
        return self.about.id

    @property
    def path(self) -> Path:
        """The first of its files."""
        return self.about.paths[0]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return self.about.paths

    @property
    def kind(self) -> str:
        """Image or video."""
        return self.about.kind

    @property
    def words(self) -> str:
        """How likely it is what was asked for, in words."""
        return in_words(self.probability)

    def record(self) -> dict[str, Any]:
        """This hit as JSON."""
        about = self.about
        return {
            "item": about.id, "path": str(self.path), "uri": self.path.as_uri(),
            "paths": [str(path) for path in self.paths], "kind": self.kind, "score": round(self.score, 6),
            "probability": None if self.probability is None else round(self.probability, 4), "words": self.words,
            "second": self.second, "taken": about.taken, "width": about.width, "height": about.height,
            "camera": about.camera, "place": None if about.lat is None else [about.lat, about.lon],
            "duplicates": list(self.duplicates),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What a library has for a query.

    Attributes:
        hits: the page asked for, best first.
        offset: how many better hits come before it.
        more: whether there are hits after it.
        total: how many hits there are; None where that was not counted.
        searched: how many items could have been hits: those that pass the filters.
        cutoff: the least probability of a hit; None where the library is too small to tell.
        model: the name of the model that answered.
        lang: in which language texts were read; None if there were none.
        guess: how it was guessed; None where it was given.
        weights: the languages read, and the share of each.
        missing: items that the library shows and that the model has not encoded.
    """

    hits: tuple[Hit, ...]
    offset: int
    more: bool
    total: int | None
    searched: int
    cutoff: float | None
    model: str
    lang: str | None
    guess: LanguageGuess | None
    weights: Mapping[str, float]
    missing: int = 0

    @property
    def note(self) -> str:
        """What there is to say of an answer without a hit; empty where there is one."""
        if self.hits:
            return ""
        if self.offset and self.total:
            return f"there are only {self.total} hits"
        if not self.searched:
            return "no picture or video passes the filters"
        return f"none of {self.searched:,} pictures and videos is a good match"

    def record(self) -> dict[str, Any]:
        """This answer as JSON."""
        return {
            "model": self.model, "lang": self.lang, "lang_guessed": self.guess is not None,
            "lang_sure": self.guess.sure if self.guess else True,
            "lang_weights": {code: round(share, 4) for code, share in self.weights.items()},
            "searched": self.searched, "cutoff": self.cutoff, "offset": self.offset, "more": self.more,
            "total": self.total, "missing": self.missing, "note": self.note,
            "hits": [hit.record() for hit in self.hits],
        }  # fmt: skip
