"""The gate: a task that makes an installed language worse than allowed is not installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glotclip.errors import ConfigError, DataError, GlotclipError
from glotclip.ownership import LEDGER, PRIVATE
from glotclip.scores import headline
from glotclip.storage import writing

NOTHING_EVALUATED = "the gate (max_forgetting) has nothing to measure"


class ForgettingError(GlotclipError):
    """A task was refused: a language would lose more than allowed. The folder is as before the task."""


@dataclass(frozen=True)
class Gate:
    """How much any language may lose, from where it stood when the run began or when the run taught it.

    Args:
        max_forgetting: in points of R@1, mean of both directions.
    """

    max_forgetting: float

    def __post_init__(self) -> None:
        if not self.max_forgetting >= 0:  # nor not-a-number
            raise ConfigError(
                f"max_forgetting must be 0 or more points, not {self.max_forgetting}",
                hint="e.g. --max-forgetting 0.5",
            )

    def begin(self, installed: Iterable[str], scores: Mapping[str, Any], *, touched: bool) -> None:
        """Check that every language that may lose something was measured before anything is taught.

        Args:
            installed: languages of the model to extend.
            scores: of them, as evaluated.
            touched: whether tasks of the run can change weights that these languages use.

        Raises:
            ConfigError: if nothing was evaluated at all.
            DataError: if one of them has no held-out rows.
        """
        if not scores:
            raise ConfigError(
                f"{NOTHING_EVALUATED}: no installed language is evaluated",
                hint="evaluate on rows of split test or validation in them, or leave the gate out",
            )
        if touched and (blind := [code for code in installed if code not in scores]):
            raise DataError(
                f"the gate cannot measure {', '.join(blind)}: no held-out rows in {_those(blind)}",
                hint="add such rows, learn with --set isolation=per-language, or leave the gate out",
            )

    def check(self, task: Iterable[str], before: Mapping[str, Mapping[str, Any]], scores: Mapping[str, Any]) -> None:
        """Compare the scores after a task with the first that the run measured.

        Args:
            task: the task's languages.
            before: scores by language, before the run and after each earlier task, in order.
            scores: by language, after this task.

        Raises:
            ForgettingError: naming every language that loses too much, and how much.
        """
        lost = {}
        for code, (was, now) in _pairs(before, scores).items():
            if was - now > self.max_forgetting:
                lost[code] = f"{code} {was - now:.2f} ({was:.2f} → {now:.2f})"
        if lost:
            raise ForgettingError(
                f"{'+'.join(task)} is not installed: of R@1 would be lost by {', '.join(lost.values())}; "
                f"allowed are {self.max_forgetting:g} points",
                hint="nothing that was installed has changed; try --set isolation=per-language, TEIR, a strategy or "
                "fewer steps, or allow more",
            )


def _those(codes: list[str]) -> str:
    return "it" if len(codes) == 1 else "them"


def _pairs(before: Mapping[str, Mapping[str, Any]], scores: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Every language's first and present score, of those that have both."""
    first: dict[str, float] = {}
    for row in before.values():
        for code, each in row.items():
            first.setdefault(code, headline(each))
    return {code: (first[code], headline(each)) for code, each in scores.items() if code in first}


# The record that counts is restored after what it describes, and the list of what glotclip made after all.
_REPLACED = ("config.json", "log.jsonl", "polyglot.json", f"{PRIVATE}/{LEDGER}")


def back_up(folder: Path, place: Path) -> None:
    """Copy the files of a folder that a run replaces or lengthens before its first task is installed to ``place``."""
    for name in _REPLACED:
        if (folder / name).exists():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, place / name)


def restore(folder: Path, place: Path, *, ledger: bool) -> None:
    """Undo what was done to those files since, byte for byte; those that were not there are removed.

    Args:
        folder: of the files.
        place: as for :func:`back_up`.
        ledger: also the list of what glotclip made, which is needed as long as something of it is to be removed.
    """
    for name in _REPLACED if ledger else _REPLACED[:-1]:
        if (place / name).exists():
            with writing(folder / name) as aside:
                shutil.copyfile(place / name, aside)
        else:
            (folder / name).unlink(missing_ok=True)
