"""A comparison in this process: what trials hold, what is not repeated, what a kill and a fault leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.packs.folder import PolyglotFolder
from glotclip.threads import held_at

if TYPE_CHECKING:
    from glotclip.compare.experiment import Experiment

pytestmark = pytest.mark.slow

COMMON = {
    "steps": 4, "batch_size": 4, "vocabulary": 150, "lr": 0.01, "precision": "fp32", "checkpoint_seconds": 0,
}  # fmt: skip
RUNS: list[dict[str, Any]] = [
    {"name": "shared", "settings": {"isolation": "shared"}},
    {"name": "apart", "group": "own packs", "settings": {"steps": 3}},
]


def trials(folder: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (folder / "trials").iterdir()}


def lasting(trial: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the hour or the machine's mood."""
    steady = {name: {k: v for k, v in task.items() if k != "seconds"} for name, task in trial["training"].items()}
    return {**{k: v for k, v in trial.items() if k not in ("seconds", "environment")}, "training": steady}


def test_trials_describe_themselves_and_are_not_repeated(
    experiment: Callable[..., Experiment], tmp_path: Path
) -> None:
    first = experiment()
    assert first.run(first.unfinished()) == {}
    made = trials(first.folder)
    assert sorted(made) == ["apart-0", "shared-0"]
    apart = made["apart-0"]
    assert apart["inputs"]["settings"]["isolation"] == "per-language"
    assert (apart["inputs"]["settings"]["steps"], apart["inputs"]["settings"]["seed"]) == (3, 0)
    assert (apart["group"], apart["tasks"], apart["inputs"]["languages"]) == (
        "own packs",
        [["de"], ["fr"]],
        ["de", "fr"],
    )
    assert list(apart["scores"]) == ["start", "de", "fr"]
    assert set(apart["scores"]["fr"]) == {"en", "de", "fr"}
    assert "ci95" in apart["final"]["en"]["text_to_image"]
    assert apart["scores"]["de"]["en"] == apart["scores"]["start"]["en"]
    assert apart["text_weights"] == first.polyglot.base.text_weights
    assert apart["training"]["de"]["trainable"] > 0
    assert set(apart["packs"]) == {"de", "fr"}
    assert set(made["shared-0"]["packs"]) == {"shared"}
    assert "split test" in apart["protocol"]
    assert not (first.folder / "work").exists()
    assert experiment().unfinished() == []


def test_the_report_is_over_what_there_is(experiment: Callable[..., Experiment]) -> None:
    half = experiment()
    half.run(half.unfinished()[:1])
    value = half.write_report()
    assert [run["name"] for run in value["runs"]] == ["shared"]
    assert value["missing"] == ["apart-0"]
    assert json.loads((half.folder / "results.json").read_text(encoding="utf-8")) == value
    page = (half.folder / "report.md").read_text(encoding="utf-8")
    assert "Not finished: apart-0" in page
    assert "lexicon, isolation shared" in page
    assert (half.folder / "report.html").exists()
    more = experiment(seeds=[0, 1])
    assert [trial.slug for trial in more.unfinished()] == ["apart-0", "shared-1", "apart-1"]


def test_a_changed_recipe_makes_its_trials_anew(experiment: Callable[..., Experiment]) -> None:
    first = experiment()
    first.run(first.unfinished())
    changed = experiment(runs=[{**RUNS[0], "settings": {"isolation": "shared", "teir_strength": 2.0}}, RUNS[1]])
    (trial,) = changed.unfinished()
    assert changed.outdated(trial) == ["settings.teir_strength"]
    assert [run["name"] for run in changed.write_report()["runs"]] == ["apart"]  # old figures are not passed off
    changed.run([trial])
    assert changed.unfinished() == []
    assert [each.slug for each in experiment(evaluate="last").unfinished()] == ["shared-0", "apart-0"]


def test_changed_captions_make_all_anew(experiment: Callable[..., Experiment], drawn: Path, tmp_path: Path) -> None:
    copy = drawn.with_name("copy.csv")
    copy.write_bytes(drawn.read_bytes())
    first = experiment(data=str(copy), runs=RUNS[:1])
    first.run(first.unfinished())
    copy.write_bytes(drawn.read_bytes().replace(b"rouge", b"rose"))
    (trial,) = experiment(data=str(copy), runs=RUNS[:1]).unfinished()
    assert set(first.outdated(trial)) == {"benchmark", "data"}


def test_a_killed_comparison_goes_on_where_it_was(experiment: Callable[..., Experiment]) -> None:
    whole = experiment(out="whole")
    whole.run(whole.unfinished())
    steps: list[tuple[str, int]] = []

    def killing(what: str, done: int, total: int) -> None:
        if what in ("shared-0", "apart-0"):
            steps.append((what, done))
            if steps == [("shared-0", n) for n in range(1, 7)]:  # in the second of two languages
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed = experiment(progress=killing)
        killed.run(killed.unfinished())
    assert (killed.folder / "work" / "shared-0").is_dir()
    again = experiment(progress=lambda what, done, total: steps.append((what, done)) if what[-2:] == "-0" else None)
    again.run(again.unfinished())
    of_shared = [done for what, done in steps if what == "shared-0"]
    assert of_shared[:6] == [1, 2, 3, 4, 5, 6]
    assert of_shared[6] in (6, 7)  # a step whose state was not saved yet is taken again
    assert of_shared[-1] == 8
    assert {name: lasting(trial) for name, trial in trials(again.folder).items()} == {
        name: lasting(trial) for name, trial in trials(whole.folder).items()
    }


def test_a_trial_goes_on_with_the_threads_it_began_with(experiment: Callable[..., Experiment]) -> None:
    steps: list[tuple[int, int]] = []

    def noted(limit: int) -> Callable[[str, int, int], None]:
        def progress(what: str, done: int, total: int) -> None:
            if what == "shared-0":
                steps.append((done, torch.get_num_threads()))
                if len(steps) == limit:
                    raise KeyboardInterrupt

        return progress

    with held_at(2), pytest.raises(KeyboardInterrupt):
        killed = experiment(progress=noted(6), runs=RUNS[:1])
        killed.run(killed.unfinished())
    with held_at(1):
        again = experiment(progress=noted(-1), runs=RUNS[:1])
        again.run(again.unfinished())
        assert torch.get_num_threads() == 1
    assert steps[6][0] in (6, 7), "what was done is not done again"
    assert {threads for _, threads in steps} == {2}


def test_a_fault_in_one_trial_leaves_the_others(experiment: Callable[..., Experiment]) -> None:
    wrong = experiment(runs=[{"name": "absent", "languages": "sw"}, *RUNS])
    said: list[tuple[str, bool]] = []
    faults = wrong.run(wrong.unfinished(), ended=lambda trial, fault: said.append((trial.slug, bool(fault))))
    assert said == [("absent-0", True), ("shared-0", False), ("apart-0", False)]
    assert "sw" in faults["absent-0"]
    assert wrong.write_report()["failures"] == faults


def test_a_recipes_mistakes_are_told_before_anything_is_done(experiment: Callable[..., Experiment]) -> None:
    with pytest.raises(ConfigError, match="did you mean 'steps'"):
        experiment(common={**COMMON, "stpes": 1})
    with pytest.raises(ConfigError, match="jointly"):
        experiment(runs=[*RUNS, {"name": "joint", "joint": True}])


def test_nothing_to_compare_on(experiment: Callable[..., Experiment], drawn: Path) -> None:
    bare = drawn.with_name("bare.csv")
    bare.write_text(drawn.read_text(encoding="utf-8").replace(",test", ",train"), encoding="utf-8")
    faults = (wrong := experiment(data=str(bare), runs=RUNS[:1])).run(wrong.unfinished())
    assert "no held-out images" in faults["shared-0"]
    other = experiment(data=str(bare), benchmark=str(drawn), runs=RUNS[:1], out="other")
    assert other.run(other.unfinished()) == {}


def test_jointly_in_another_order_scored_at_the_end_and_kept(experiment: Callable[..., Experiment]) -> None:
    runs = [
        {"name": "joint", "joint": True, "settings": {"isolation": "shared"}},
        {"name": "paper", "order": "paper", "languages": "hi, fr, de", "settings": {"isolation": "shared"}},
    ]
    last = experiment(runs=runs, evaluate="last", intervals=0, keep=True)
    assert last.run(last.unfinished()) == {}
    made = trials(last.folder)
    assert made["joint-0"]["tasks"] == [["de", "fr"]]
    assert list(made["joint-0"]["scores"]) == ["start", "de+fr"]
    assert made["paper-0"]["tasks"] == [["de"], ["fr"], ["hi"]]
    assert list(made["paper-0"]["scores"]) == ["start", "hi"]
    assert "ci95" not in made["paper-0"]["final"]["en"]["text_to_image"]
    assert PolyglotFolder.is_one(last.folder / "work" / "paper-0" / "model")
    numbers = last.write_report()["runs"][1]["numbers"]
    assert numbers["average"] is not None
    assert numbers["forgetting"] is None


def test_between_the_first_and_the_last_task_only_what_was_learnt_and_the_base_are_scored(
    experiment: Callable[..., Experiment],
) -> None:
    every, own = (
        experiment(runs=RUNS[:1], languages="de, fr, hi", evaluate=when, intervals=0, out=when)
        for when in ("every", "own")
    )
    for each in (every, own):
        assert each.run(each.unfinished()) == {}
    whole, part = (trials(each.folder)["shared-0"]["scores"] for each in (every, own))
    assert {task: sorted(scores) for task, scores in part.items()} == {
        "start": ["en"], "de": ["de", "en"], "fr": ["en", "fr"], "hi": ["de", "en", "fr", "hi"],
    }  # fmt: skip
    assert all(part[task][code] == whole[task][code] for task, scores in part.items() for code in scores)
    numbers = own.write_report()["runs"][0]["numbers"]
    assert numbers["forgetting"] is not None
    assert numbers["learning accuracy"] == every.write_report()["runs"][0]["numbers"]["learning accuracy"]
