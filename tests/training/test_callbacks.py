"""Callbacks: what a run tells, in which order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glotclip.packs.folder import PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.training.callbacks import Callbacks
from glotclip.training.extension import Extension

if TYPE_CHECKING:
    from tests.conftest import School


def test_a_run_tells_what_it_does_in_order(school: School, tmp_path: Path) -> None:
    told: list[Any] = []

    def evaluate(polyglot: Polyglot, codes: Any) -> dict[str, Any]:
        told.append(("evaluate", tuple(codes)))
        return {}

    callbacks = Callbacks(
        log=lambda numbers: told.append((numbers["task"], numbers["step"], numbers["total"])),
        task_started=lambda name, task, steps: told.append(("start", name, task.name, steps)),
        task_done=lambda name, result, scores: told.append(("done", name, result.steps, scores)),
        evaluate=evaluate,
    )
    curriculum = school.curriculum(("de",), ("fr",), steps=2, isolation="per-language")
    folder = PolyglotFolder(tmp_path / "out")
    Extension(folder, Polyglot(school.base), school.captions, curriculum, callbacks=callbacks).run()
    assert told == [
        ("evaluate", ("en",)),
        ("start", "de", "de", 2), ("de", 1, 2), ("de", 2, 2), ("evaluate", ("en", "de")),
        ("done", "de", 2, {}),
        ("start", "fr", "fr", 2), ("fr", 1, 2), ("fr", 2, 2), ("evaluate", ("en", "de", "fr")),
        ("done", "fr", 2, {}),
    ]  # fmt: skip
