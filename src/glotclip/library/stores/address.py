"""The parts of an engine's URL: ``postgresql://me@host/database?sslmode=require&index=hnsw#TABLE``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from glotclip.errors import ConfigError, did_you_mean

EXACT, HNSW = "exact", "hnsw"
INDEXES = (EXACT, HNSW)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine keeps vectors, and how it finds them.

    Attributes:
        url: as it was given.
        engine: of the engine itself, without what is ours.
        name: of the table or collection.
        approximate: whether the engine shall have an index (HNSW, Malkov and Yashunin 2016) instead of comparing all.
    """

    url: str
    engine: str
    name: str
    approximate: bool

    @property
    def shown(self) -> str:
        """The URL without a password."""
        hidden = re.sub(r"//([^:@/]*):[^@/]*@", r"//\1:…@", self.url)
        return re.sub(r"([?&]password=)[^&#]*", r"\1…", hidden)


def address_of(url: str) -> Address:
    """Read a URL.

    Raises:
        ConfigError: if it asks for an index that there is not.
    """
    before, _, name = url.partition("#")
    engine, _, query = before.partition("?")
    options = [option for option in query.split("&") if option]
    given = [option.removeprefix("index=") for option in options if option.startswith("index=")]
    for index in given:
        if index not in INDEXES:
            raise ConfigError(
                f"there is no index {index!r}", hint=f"{did_you_mean(index, INDEXES)}index=hnsw, or leave it out"
            )
    others = "&".join(option for option in options if not option.startswith("index="))
    return Address(url, engine + (f"?{others}" if others else ""), name, HNSW in given)
