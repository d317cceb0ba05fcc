"""What strategies remember, in a folder: committed with the task, swept with the packs, and safe from kills."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from glotclip.errors import CheckpointError
from glotclip.packs.folder import PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.training.callbacks import Callbacks
from glotclip.training.extension import Extension
from glotclip.training.settings import TrainSettings
from glotclip.training.strategies.registry import STRATEGIES, strategy_for

if TYPE_CHECKING:
    from tests.conftest import School

pytestmark = pytest.mark.slow

STEPS = 5


def run(
    school: School, folder: Path, strategy: str, *codes: str, callbacks: Callbacks | None = None, **more: Any
) -> Path:
    settings: dict[str, Any] = {"isolation": "shared", "memory": 10, "memory_batch": 5, "checkpoint_seconds": 0}
    curriculum = school.curriculum(
        *((code,) for code in codes or ("de", "fr")), **{**settings, "steps": STEPS, "strategy": strategy, **more}
    )
    start = Polyglot(school.base) if not PolyglotFolder.is_one(folder) else Polyglot.open(folder, school.base)
    Extension(PolyglotFolder(folder), start, school.captions, curriculum, callbacks=callbacks or Callbacks()).run()
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of packs and memories in use, and the names of all that lie there."""
    files = [*(folder / "packs").glob("*/pack.safetensors"), *(folder / ".memory").glob("*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_settings_name_every_strategy() -> None:
    assert set(get_args(TrainSettings.model_fields["strategy"].annotation)) == set(STRATEGIES)
    for name in STRATEGIES:
        assert strategy_for(TrainSettings(strategy=name)).name == name


def killer(after: int) -> Callbacks:
    lines: list[Any] = []
    return Callbacks(log=lines.append, stop=lambda: len(lines) >= after)


@pytest.mark.parametrize("strategy", ["er", "der", "oewc"])
def test_a_kill_in_the_second_task_changes_no_bit(school: School, tmp_path: Path, strategy: str) -> None:
    whole = content(run(school, tmp_path / "whole", strategy))
    assert set(whole) == {"packs/shared-2/pack.safetensors", ".memory/2.safetensors"}
    for after in (STEPS + 1, STEPS + 3):
        folder = tmp_path / str(after)
        with pytest.raises(KeyboardInterrupt):
            run(school, folder, strategy, callbacks=killer(after))
        assert set(content(folder)) == {"packs/shared-1/pack.safetensors", ".memory/1.safetensors"}
        assert content(run(school, folder, strategy)) == whole


def test_with_stages_and_validations_neither(school: School, tmp_path: Path) -> None:
    scores = {"scored": Callbacks(validate=lambda encoder, languages: float(len(languages)))}
    more: dict[str, Any] = {"stages": ["nlt", "le"], "steps": 8, "evaluate_every": 2}
    whole = content(run(school, tmp_path / "whole", "der", callbacks=scores["scored"], **more))
    for after in (3, 7, 11, 15):
        folder, callbacks = tmp_path / str(after), killer(after)
        callbacks.validate = scores["scored"].validate
        with pytest.raises(KeyboardInterrupt):
            run(school, folder, "der", callbacks=callbacks, **more)
        assert content(run(school, folder, "der", callbacks=scores["scored"], **more)) == whole


@pytest.mark.parametrize("strategy", ["er", "oewc"])
def test_a_kill_between_memory_and_commit(school: School, tmp_path: Path, strategy: str) -> None:
    whole = content(run(school, tmp_path / "whole", strategy, callbacks=Callbacks(evaluate=lambda *_: {})))
    calls: list[int] = []

    def fail_once(polyglot: Polyglot, languages: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 3:  # the start, the first task, and here the second
            raise OSError("pulled the plug")
        return {}

    folder = tmp_path / "killed"
    with pytest.raises(OSError, match="plug"):
        run(school, folder, strategy, callbacks=Callbacks(evaluate=fail_once))
    assert (folder / ".memory/2.safetensors").exists()  # written aside, named by nobody yet
    record = PolyglotFolder(folder).read()
    assert record.run is not None
    assert record.run.memory == ".memory/1.safetensors"
    assert content(run(school, folder, strategy, callbacks=Callbacks(evaluate=lambda *_: {}))) == whole


def test_a_later_run_remembers_and_without_a_strategy_there_is_nothing(school: School, tmp_path: Path) -> None:
    folder = run(school, tmp_path / "out", "er", "de")
    run(school, folder, "er", "fr")
    memory = strategy_for(TrainSettings(strategy="er", memory=10), folder / ".memory/2.safetensors")
    assert set(memory.replay_texts()) == {"de", "fr"}
    assert not (run(school, tmp_path / "plain", "none") / ".memory").exists()
    # What another strategy remembered is of no use.
    assert strategy_for(TrainSettings(strategy="oewc"), folder / ".memory/2.safetensors").tensors() == {}


def test_a_memory_that_is_gone_or_damaged_is_said(school: School, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="missing"):
        strategy_for(TrainSettings(strategy="er"), tmp_path / "1.safetensors")
    (tmp_path / "1.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        strategy_for(TrainSettings(strategy="er"), tmp_path / "1.safetensors")


def test_sweeping_takes_memories_that_nobody_names(school: School, tmp_path: Path) -> None:
    folder = PolyglotFolder(run(school, tmp_path, "oewc", "de"))
    place = tmp_path / ".memory"
    for name in ("7.safetensors", ".8.safetensors.x.part", "note.txt"):
        (place / name).write_bytes(b"")
    folder.sweep()
    assert {path.name for path in place.iterdir()} == {"1.safetensors", "note.txt"}
    (place / "note.txt").unlink()
    folder.remove("shared")  # nothing is left that the memory could belong to
    assert not place.exists()
