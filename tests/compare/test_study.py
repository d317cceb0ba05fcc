"""A comparison in this process: what cells hold, what is not repeated, what a kill and a fault leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.compare.forecast import forecast, scorings
from glotclip.compare.recipe import Recipe
from glotclip.compare.study import Study
from glotclip.errors import ConfigError
from glotclip.models.checkpoints import save_base
from glotclip.packs.folder import PolyglotFolder
from glotclip.threads import held_at

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow

COMMON = {
    "steps": 4, "batch_size": 4, "vocabulary": 150, "lr": 0.01, "precision": "fp32", "checkpoint_seconds": 0,
}  # fmt: skip
RUNS: list[dict[str, Any]] = [
    {"name": "shared", "settings": {"isolation": "shared"}},
    {"name": "apart", "group": "own packs", "settings": {"steps": 3}},
]


@pytest.fixture(scope="module")
def model(base: DualEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "base"
    save_base(base, folder)
    return folder


@pytest.fixture
def study(model: Path, drawn: Path, tmp_path: Path) -> Callable[..., Study]:
    """Open the comparison of two runs, unless told otherwise."""

    def opened(*, out: str = "out", progress: Any = None, keep: bool = False, **changed: Any) -> Study:
        values = {"model": str(model), "data": str(drawn), "languages": "de, fr", "runs": RUNS, "common": COMMON}
        recipe = Recipe.model_validate({"intervals": 20, **values, **changed})
        more = {} if progress is None else {"progress": progress}
        return Study.open(recipe, tmp_path / out, device="cpu", cache=tmp_path / "cache", keep=keep, **more)

    return opened


def cells(folder: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (folder / "cells").iterdir()}


def lasting(cell: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the hour or the machine's mood."""
    steady = {name: {k: v for k, v in task.items() if k != "seconds"} for name, task in cell["training"].items()}
    return {**{k: v for k, v in cell.items() if k not in ("seconds", "environment")}, "training": steady}


def test_cells_describe_themselves_and_are_not_repeated(study: Callable[..., Study], tmp_path: Path) -> None:
    first = study()
    assert first.run(first.unfinished()) == {}
    made = cells(first.folder)
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
    assert apart["text_weights"] == first.bench.polyglot.base.text_weights
    assert apart["training"]["de"]["trainable"] > 0
    assert set(apart["packs"]) == {"de", "fr"}
    assert set(made["shared-0"]["packs"]) == {"shared"}
    assert "split test" in apart["protocol"]
    assert not (first.folder / "work").exists()
    assert study().unfinished() == []


def test_the_report_is_over_what_there_is(study: Callable[..., Study]) -> None:
    half = study()
    half.run(half.unfinished()[:1])
    value = half.write_report()
    assert [run["name"] for run in value["runs"]] == ["shared"]
    assert value["missing"] == ["apart-0"]
    assert json.loads((half.folder / "results.json").read_text(encoding="utf-8")) == value
    page = (half.folder / "report.md").read_text(encoding="utf-8")
    assert "Not finished: apart-0" in page
    assert "lexicon, isolation shared" in page
    assert (half.folder / "report.html").exists()
    more = study(seeds=[0, 1])
    assert [cell.slug for cell in more.unfinished()] == ["apart-0", "shared-1", "apart-1"]


def test_a_changed_recipe_makes_its_cells_anew(study: Callable[..., Study]) -> None:
    first = study()
    first.run(first.unfinished())
    changed = study(runs=[{**RUNS[0], "settings": {"isolation": "shared", "teir_strength": 2.0}}, RUNS[1]])
    (cell,) = changed.unfinished()
    assert changed.bench.outdated(cell) == ["settings.teir_strength"]
    assert [run["name"] for run in changed.write_report()["runs"]] == ["apart"]  # old figures are not passed off
    changed.run([cell])
    assert changed.unfinished() == []
    assert [each.slug for each in study(evaluate="last").unfinished()] == ["shared-0", "apart-0"]


def test_changed_captions_make_all_anew(study: Callable[..., Study], drawn: Path, tmp_path: Path) -> None:
    copy = drawn.with_name("copy.csv")
    copy.write_bytes(drawn.read_bytes())
    first = study(data=str(copy), runs=RUNS[:1])
    first.run(first.unfinished())
    copy.write_bytes(drawn.read_bytes().replace(b"rouge", b"rose"))
    (cell,) = study(data=str(copy), runs=RUNS[:1]).unfinished()
    assert set(first.bench.outdated(cell)) == {"benchmark", "data"}


def test_a_killed_comparison_goes_on_where_it_was(study: Callable[..., Study]) -> None:
    whole = study(out="whole")
    whole.run(whole.unfinished())
    steps: list[tuple[str, int]] = []

    def killing(what: str, done: int, total: int) -> None:
        if what in ("shared-0", "apart-0"):
            steps.append((what, done))
            if steps == [("shared-0", n) for n in range(1, 7)]:  # in the second of two languages
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed = study(progress=killing)
        killed.run(killed.unfinished())
    assert (killed.folder / "work" / "shared-0").is_dir()
    again = study(progress=lambda what, done, total: steps.append((what, done)) if what[-2:] == "-0" else None)
    again.run(again.unfinished())
    of_shared = [done for what, done in steps if what == "shared-0"]
    assert of_shared[:6] == [1, 2, 3, 4, 5, 6]
    assert of_shared[6] in (6, 7)  # a step whose state was not saved yet is taken again
    assert of_shared[-1] == 8
    assert {name: lasting(cell) for name, cell in cells(again.folder).items()} == {
        name: lasting(cell) for name, cell in cells(whole.folder).items()
    }


def test_a_cell_goes_on_with_the_threads_it_began_with(study: Callable[..., Study]) -> None:
    steps: list[tuple[int, int]] = []

    def noted(limit: int) -> Callable[[str, int, int], None]:
        def progress(what: str, done: int, total: int) -> None:
            if what == "shared-0":
                steps.append((done, torch.get_num_threads()))
                if len(steps) == limit:
                    raise KeyboardInterrupt

        return progress

    with held_at(2), pytest.raises(KeyboardInterrupt):
        killed = study(progress=noted(6), runs=RUNS[:1])
        killed.run(killed.unfinished())
    with held_at(1):
        again = study(progress=noted(-1), runs=RUNS[:1])
        again.run(again.unfinished())
        assert torch.get_num_threads() == 1
    assert steps[6][0] in (6, 7), "what was done is not done again"
    assert {threads for _, threads in steps} == {2}


def test_a_fault_in_one_cell_leaves_the_others(study: Callable[..., Study]) -> None:
    wrong = study(runs=[{"name": "absent", "languages": "sw"}, *RUNS])
    said: list[tuple[str, bool]] = []
    faults = wrong.run(wrong.unfinished(), ended=lambda cell, fault: said.append((cell.slug, bool(fault))))
    assert said == [("absent-0", True), ("shared-0", False), ("apart-0", False)]
    assert "sw" in faults["absent-0"]
    assert wrong.write_report()["failures"] == faults


def test_a_recipes_mistakes_are_told_before_anything_is_done(study: Callable[..., Study]) -> None:
    with pytest.raises(ConfigError, match="did you mean 'steps'"):
        study(common={**COMMON, "stpes": 1})
    with pytest.raises(ConfigError, match="jointly"):
        study(runs=[*RUNS, {"name": "joint", "joint": True}])


def test_nothing_to_compare_on(study: Callable[..., Study], drawn: Path) -> None:
    bare = drawn.with_name("bare.csv")
    bare.write_text(drawn.read_text(encoding="utf-8").replace(",test", ",train"), encoding="utf-8")
    faults = (wrong := study(data=str(bare), runs=RUNS[:1])).run(wrong.unfinished())
    assert "no held-out pictures" in faults["shared-0"]
    other = study(data=str(bare), benchmark=str(drawn), runs=RUNS[:1], out="other")
    assert other.run(other.unfinished()) == {}


def test_jointly_in_another_order_scored_at_the_end_and_kept(study: Callable[..., Study]) -> None:
    runs = [
        {"name": "joint", "joint": True, "settings": {"isolation": "shared"}},
        {"name": "paper", "order": "paper", "languages": "hi, fr, de", "settings": {"isolation": "shared"}},
    ]
    last = study(runs=runs, evaluate="last", intervals=0, keep=True)
    assert last.run(last.unfinished()) == {}
    made = cells(last.folder)
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
    study: Callable[..., Study],
) -> None:
    every, own = (
        study(runs=RUNS[:1], languages="de, fr, hi", evaluate=when, intervals=0, out=when)
        for when in ("every", "own")
    )
    for each in (every, own):
        assert each.run(each.unfinished()) == {}
    whole, part = (cells(each.folder)["shared-0"]["scores"] for each in (every, own))
    assert {task: sorted(scores) for task, scores in part.items()} == {
        "start": ["en"], "de": ["de", "en"], "fr": ["en", "fr"], "hi": ["de", "en", "fr", "hi"],
    }  # fmt: skip
    assert all(part[task][code] == whole[task][code] for task, scores in part.items() for code in scores)
    numbers = own.write_report()["runs"][0]["numbers"]
    assert numbers["forgetting"] is not None
    assert numbers["learning accuracy"] == every.write_report()["runs"][0]["numbers"]["learning accuracy"]


def test_the_forecast_asks_finished_cells_first(study: Callable[..., Study]) -> None:
    two = study(seeds=[0, 1])
    two.run(two.unfinished()[:1])
    shared, apart = forecast(two.bench, two.unfinished(), two.results())
    assert (shared.name, shared.cells, shared.measured) == ("shared", 1, True)
    assert shared.seconds == cells(two.folder)["shared-0"]["seconds"]
    assert (apart.cells, apart.measured) == (2, False)
    assert apart.seconds > 0
    two.run([two.cells[1]])
    assert apart.trainable == cells(two.folder)["apart-0"]["training"]["de"]["trainable"]
    cell = two.cells[0]
    assert [scorings(cell, 2, True), scorings(cell, 2, False), scorings(cell, 1, True)] == [6, 3, 3]
