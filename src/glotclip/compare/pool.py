"""Trials side by side in processes of their own, each a trial at a time: one that dies takes nothing with it.

A child learns that it shall stop by the end of its standard input, which also comes if the parent is killed; it
saves its state and leaves, so that nobody goes on writing where a later command may begin.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glotclip.compare.trial import Trial
from glotclip.threads import for_children

_POLL = 0.1


@dataclass(frozen=True)
class Running:
    """A trial that a child process works on; what it says goes to ``log``."""

    trial: Trial
    child: subprocess.Popen[bytes]
    log: Path


def run_side_by_side(
    trials: Sequence[Trial],
    command: Callable[[Trial], Sequence[str]],
    folder: Path,
    processes: int,
    ended: Callable[[Trial, str], None],
) -> None:
    """Run every trial's command, so many at once.

    Args:
        trials: in the order in which they are begun.
        command: of a trial: arguments after the interpreter.
        folder: for what the children say.
        processes: how many at a time; each is given its share of the cores, unless the user has set threads.
        ended: called with each trial that has ended and what went wrong, empty if nothing did.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when the children have saved their states.
    """
    environment = for_children(processes)
    waiting, running = list(trials), list[Running]()
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                running.append(_start(waiting.pop(0), command, folder, environment))
            time.sleep(_POLL)
            for each in [each for each in running if each.child.poll() is not None]:
                running.remove(each)
                ended(each.trial, _fault(each))
    finally:
        for each in running:
            assert each.child.stdin is not None
            each.child.stdin.close()
        for each in running:
            each.child.wait()


def _start(
    trial: Trial, command: Callable[[Trial], Sequence[str]], folder: Path, environment: dict[str, str]
) -> Running:
    log = folder / f"{trial.slug}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, *command(trial)],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends the children in order
        )
    return Running(trial, child, log)


def _fault(ended: Running) -> str:
    """What went wrong, in the child's own words; its log is removed where nothing did."""
    assert ended.child.stdin is not None
    ended.child.stdin.close()
    code = ended.child.returncode
    if code == 0:
        ended.log.unlink()
        return ""
    lines = ended.log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in lines if line.strip()]
    words = next((line.removeprefix("error: ") for line in said if line.startswith("error: ")), "")
    how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"left with exit code {code}"
    return f"{words or (said[-1] if said else 'no word')} ({how}; all it said: {ended.log})"


def stop_with_parent() -> None:
    """In a child: interrupt this process as Ctrl-C would once standard input ends."""

    def watch() -> None:
        while os.read(0, 1):  # not through sys.stdin, whose lock the interpreter wants when it ends
            pass
        os.kill(os.getpid(), signal.SIGINT)

    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=watch, daemon=True).start()
