"""Every key of a configuration is used, known to be harmless, or refused by name.

A key that is passed over in silence is how a loaded model comes to compute something else than its makers' code.
The tables are in ``known_keys.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from glotclip import storage
from glotclip.errors import CheckpointError, DataError


def read_table(file: Path) -> dict[str, Any]:
    """Read one JSON object; what is none, or damaged, is a :class:`CheckpointError`."""
    try:
        table = storage.read_json(file)
    except DataError as error:
        raise CheckpointError(error.message, hint=error.hint) from error
    if not isinstance(table, dict):
        raise CheckpointError(f"{file} is no table of settings")
    return table


@dataclass(frozen=True)
class KnownKeys:
    """What is known of one table of a configuration.

    Attributes:
        used: keys that the reader reads.
        harmless: keys that change no feature, whatever their value, with the reason.
        fixed: keys of which only some values can be read; the values.
        defaults: what the makers' code assumes where the table is silent.
    """

    used: frozenset[str] = frozenset()
    harmless: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def read(self, table: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Check a table, and return what it says over the defaults."""
        self.check(table, where)
        return {**self.defaults, **stated(table)}

    def check(self, table: Mapping[str, Any], where: str) -> None:
        """Raise CheckpointError naming every key that is not known, or has a value that cannot be read.

        A key that is null says nothing, as if it were not there.
        """
        given = stated(table)
        known = {*self.used, *self.harmless, *self.fixed}
        unknown = [f"{key} = {_short(value)}" for key, value in given.items() if key not in known]
        if unknown:
            raise CheckpointError(
                f"{where} has {'keys' if len(unknown) > 1 else 'a key'} that glotclip does not understand: "
                f"{', '.join(unknown)}",
                hint="they may change what the model computes; if you are sure that they do not, take them out of it",
            )
        wrong = [
            f"{key} = {_short(value)}"
            for key, value in given.items()
            if key in self.fixed and not _among(value, self.fixed[key])
        ]
        if wrong:
            raise CheckpointError(
                f"{where} describes a variant that glotclip cannot compute: {', '.join(wrong)}",
                hint="use a checkpoint without it; glotclip reads plain CLIP, SigLIP and Multilingual-CLIP",
            )


@cache
def known_keys(name: str) -> KnownKeys:
    """What is known of the table of this name in ``known_keys.toml``."""
    table = _tables()[name]
    inner = [known_keys(each) for each in table.get("extends", ())]
    own = {key: reason for reason, keys in table.get("harmless", {}).items() for key in keys.split()}
    return KnownKeys(
        used=frozenset(table.get("used", "").split()).union(*(each.used for each in inner)),
        harmless=_joined([each.harmless for each in inner], own),
        fixed=_joined([each.fixed for each in inner], table.get("fixed", {})),
        defaults=_joined([each.defaults for each in inner], table.get("defaults", {})),
    )


def stated(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table without the keys that are null: they say nothing."""
    return {key: value for key, value in table.items() if value is not None}


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _joined(inner: Iterable[Mapping[str, Any]], own: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for each in (*inner, own) for key, value in each.items()}


def _among(value: object, allowed: Iterable[object]) -> bool:
    """Whether a value is one of those allowed; 1 is not true here."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
