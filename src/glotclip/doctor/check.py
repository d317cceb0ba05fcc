"""The registry of checks. A check is one small function in one of this folder's modules:

    @check("caches")
    def caches(case: Case) -> Iterator[Finding]:
        yield Finding("features", "1.2 GB in /home/me/.cache/glotclip/features")

What a user lacks and did not ask for is no fault; a finding is broken where something that is there does not work.
A check that raises an error of ours is broken with that error's hint; any other error is a fault of the check, and is
told as such, since one check must not keep the others from speaking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal

from glotclip.errors import GlotclipError

State = Literal["fine", "missing", "broken"]
MODULES = ("installation", "disk", "models", "libraries", "engines")


@dataclass(frozen=True)
class Finding:
    """What one look found.

    Attributes:
        what: was looked at.
        said: how it is, in a few words.
        state: "missing": it is not there, and nothing that is there needs it.
        mend: the command that mends it, or brings what is missing; empty where there is nothing to do.
    """

    what: str
    said: str
    state: State = "fine"
    mend: str = ""


@dataclass(frozen=True)
class Section:
    """The findings of one check."""

    title: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Case:
    """What is examined.

    Attributes:
        folders: of models that the user named; none: those in the current folder are looked for.
    """

    folders: Sequence[Path] = field(default_factory=tuple)


Check = Callable[[Case], Iterable[Finding]]
CHECKS: dict[str, Check] = {}


def check(title: str) -> Callable[[Check], Check]:
    """Register a check under the title of its section; checks run in the order of their modules."""

    def registered(function: Check) -> Check:
        CHECKS[title] = function
        return function

    return registered


def examine(case: Case) -> list[Section]:
    """Run all checks."""
    for name in MODULES:
        import_module(f"glotclip.doctor.{name}")
    order = sorted(CHECKS.items(), key=lambda item: _place(item[1]))
    return [Section(title, tuple(_findings(title, function, case))) for title, function in order]


def broken(sections: Iterable[Section]) -> list[Finding]:
    """The findings of what does not work."""
    return [each for section in sections for each in section.findings if each.state == "broken"]


def _place(function: Check) -> int:
    """The place of a check's module, whatever was imported first; those of other rooms come last."""
    module = function.__module__.rpartition(".")[2]
    return MODULES.index(module) if module in MODULES else len(MODULES)


def _findings(title: str, function: Check, case: Case) -> Iterable[Finding]:
    found: list[Finding] = []
    try:
        found.extend(function(case))
    except GlotclipError as error:
        found.append(Finding(title, error.message, "broken", error.hint))
    except Exception as error:  # noqa: BLE001 -- the other checks go on
        said = f"could not be examined: {type(error).__name__}: {error}"
        found.append(Finding(title, said, "broken", "please report this"))
    return found
