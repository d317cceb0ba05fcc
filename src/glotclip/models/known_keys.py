"""Every key of a configuration is used, known to be harmless, or refused by name.

A key that is passed over in silence is how a loaded model comes to compute something else than its makers' code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
        raise CheckpointError(f"{file} is no table of settings", hint="fetch the file again")
    return table


@dataclass(frozen=True)
class KnownKeys:
    """What is known of one table of a configuration.

    Attributes:
        used: keys that the reader reads.
        harmless: keys that change no feature, whatever their value, with the reason.
        fixed: keys of which only some values can be read; the values.
    """

    used: frozenset[str] = frozenset()
    harmless: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check(self, table: Mapping[str, Any], where: str) -> None:
        """Raise CheckpointError naming every key that is not known, or has a value that cannot be read.

        A key that is null says nothing, as if it were not there.
        """
        given = {key: value for key, value in table.items() if value is not None}
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


def harmless(reason: str, keys: str) -> dict[str, str]:
    """Give one reason to several keys, which stand between spaces."""
    return dict.fromkeys(keys.split(), reason)


def names(text: str) -> frozenset[str]:
    """The names that stand between spaces."""
    return frozenset(text.split())


def _among(value: object, allowed: Iterable[object]) -> bool:
    """Whether a value is one of those allowed; 1 is not true here."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
