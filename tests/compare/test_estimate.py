"""The dry run of a comparison: finished trials are asked before any step is timed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from glotclip.compare.estimate import estimate_runs, scorings

if TYPE_CHECKING:
    from glotclip.compare.experiment import Experiment


def test_the_estimate_asks_finished_trials_first(experiment: Callable[..., Experiment]) -> None:
    two = experiment(seeds=[0, 1])
    two.run(two.unfinished()[:1])
    shared, apart = estimate_runs(two, two.unfinished())
    assert (shared.name, shared.trials, shared.measured) == ("shared", 1, True)
    assert shared.seconds == json.loads(two.result_file(two.trials[0]).read_text())["seconds"]
    assert (apart.trials, apart.measured) == (2, False)
    assert apart.seconds > 0
    two.run([two.trials[1]])
    assert apart.trainable == json.loads(two.result_file(two.trials[1]).read_text())["training"]["de"]["trainable"]
    trial = two.trials[0]
    assert [scorings(trial, 2, True), scorings(trial, 2, False), scorings(trial, 1, True)] == [6, 3, 3]
