"""One trial: what it leaves on the disk, and how its log counts time over a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from glotclip.compare.run import TrialLog, is_result, run_trial
from glotclip.errors import StorageError
from glotclip.training.trainer import FitResult

if TYPE_CHECKING:
    from glotclip.compare.experiment import Experiment


def test_a_result_is_told_by_its_inputs(experiment: Callable[..., Experiment]) -> None:
    made = experiment()
    trial = made.trials[0]
    assert made.run([trial]) == {}
    path = made.result_file(trial)
    assert is_result(path)
    assert not made.work(trial).exists()
    value = json.loads(path.read_text(encoding="utf-8"))
    assert (value["name"], value["seed"], value["format"]) == ("shared", 0, 1)
    path.write_text(path.read_text(encoding="utf-8").replace('"joint": false', '"joint": true'), encoding="utf-8")
    assert not is_result(path)
    with pytest.raises(StorageError, match="is none"):
        experiment()


@pytest.mark.parametrize(("beside", "scored"), [([], {"de"}), (["en"], {"de", "en"}), (None, {"de", "en"})])
def test_what_is_scored_beside_the_languages_learnt(
    experiment: Callable[..., Experiment], beside: list[str] | None, scored: set[str]
) -> None:
    made = experiment(languages="de", beside=beside, runs=[{"name": "one"}])
    assert made.run(made.trials) == {}
    assert set(json.loads(made.result_file(made.trials[0]).read_text(encoding="utf-8"))["final"]) == scored


def test_what_lies_in_the_way_stays(experiment: Callable[..., Experiment]) -> None:
    made = experiment()
    place = made.work(made.trials[0])
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match="in the way"):
        run_trial(made, made.trials[0])
    assert (place / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_the_log_goes_on_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    task: Any = SimpleNamespace(trainable=7, facts={"new_tokens": 3})
    TrialLog(path).started("de", task, 10)
    stored = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**stored, "seconds": 100.0}), encoding="utf-8")
    again = TrialLog(path)
    again.done("de", FitResult(steps=10, seconds=4.0, decay=1.0, resumed_at=5), {})
    assert again.tasks == {"de": {"trainable": 7, "steps": 10, "new_tokens": 3, "seconds": 8.0}}
    assert again.clock() >= 100
