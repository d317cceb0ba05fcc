r"""Speaking to people and to programs: text, tables and progress for the former, JSON for the latter.

With ``--json`` standard output holds one JSON document in UTF-8 and nothing else; whatever people read goes to
standard error. Progress goes to standard error in any case. Names of files that are not UTF-8 are written with
``\xNN`` for the bytes (:func:`glotclip.storage.printable`).
"""

from __future__ import annotations

import io
import sys
import time
from collections import deque
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glotclip.errors import GlotclipError
from glotclip.storage import printable, to_json

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from glotclip.evaluation.tables import Table

BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base", metavar="PATH", help="Where the model folder's base is, if it is not found by itself any more."
    ),
]
_SECONDS_BETWEEN_LINES = 10.0
_RECENT = 20.0  # seconds from which the time left is estimated


class Console:
    """Where a command's words go.

    Args:
        as_json: whether standard output is kept for one JSON document.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    def say(self, text: str = "") -> None:
        """Print a line for people."""
        print(printable(text), file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def table(self, table: Table) -> None:
        """Print a table for people."""
        from glotclip.evaluation.tables import plain

        self.say(plain(table))

    def result(self, value: Any) -> None:
        """Print the result for programs, if they asked for it: JSON in UTF-8, whatever the locale."""
        if self.as_json:
            sys.stdout.flush()
            sys.stdout.buffer.write(f"{to_json(value, indent=1)}\n".encode())
            sys.stdout.buffer.flush()


def complain(message: str, hint: str) -> None:
    """Print what went wrong and what to do next."""
    print(printable(f"error: {message}\n  → {hint}"), file=sys.stderr, flush=True)


def make_streams_lenient() -> None:
    r"""Have signs that the locale's encoding lacks written as ``\u2192`` or ``\xe4``; else they were an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def complain_of(error: GlotclipError) -> None:
    """Print an error of the library."""
    complain(error.message, error.hint)


class Pace:
    """How long the rest takes at the pace of late: what was fast or slow long ago says nothing of it.

    Args:
        seconds: how far back it looks.
        least: of how many reports it takes account in any case, where they come seldom.
    """

    def __init__(self, seconds: float = _RECENT, least: int = 1) -> None:
        self._seconds, self._least = seconds, least
        self._reports: deque[tuple[float, int]] = deque()

    def left(self, now: float, done: int, total: int) -> float | None:
        """Take note that ``done`` of ``total`` are done at second ``now``; the seconds left, None if unknown."""
        self._reports.append((now, done))
        while len(self._reports) > self._least + 1 and self._reports[1][0] <= now - self._seconds:
            self._reports.popleft()
        then, before = self._reports[0]
        return (now - then) / (done - before) * (total - done) if done > before else None


class Progress(AbstractContextManager["Progress"]):
    """What is being done and how long it will take: bars on a terminal, else a line every ten seconds.

    Called with (what, done, total); a new ``what`` is a new bar, and a bar that is full goes away.
    """

    def __init__(self) -> None:
        self._rich: RichProgress | None = None
        self._bars: dict[str, TaskID] = {}
        self._paces: dict[str, Pace] = {}
        self._spoke = time.monotonic()

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._rich = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("left"),
                TextColumn("{task.fields[note]}"),
                console=RichConsole(stderr=True),
                transient=True,
                speed_estimate_period=_RECENT,
                # What is printed meanwhile must go above the bars, but never from a pipe to the terminal.
                redirect_stdout=sys.stdout.isatty(),
            )
            self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show that ``done`` of ``total`` are done."""
        if self._rich is None:
            self._line(what, done, total, note)
            return
        if what not in self._bars:
            self._bars[what] = self._rich.add_task(what, total=total, note=note)
        self._rich.update(self._bars[what], completed=done, total=total, note=note)
        if done >= total:
            self._rich.remove_task(self._bars.pop(what))

    def _line(self, what: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        left = self._paces.setdefault(what, Pace()).left(now, done, total)
        if done >= total:
            del self._paces[what]
        if now - self._spoke < _SECONDS_BETWEEN_LINES or left is None or done >= total:
            return
        self._spoke = now
        words = [f"{what}: {done} of {total}", f"about {duration(left)} left", *([note] if note else [])]
        print(", ".join(words), file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Return a length of time in words (``40 s``, ``3.5 min``, ``2.1 h``)."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def split_codes(values: list[str] | None) -> list[str]:
    """Split what was given to an option with commas, repeatedly or both (``--lang de,fr --lang ru``)."""
    return [code.strip() for value in values or [] for code in value.split(",") if code.strip()]
