"""The figures of a comparison against a worked example, and what the report says of them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from glotclip.evaluation import comparison, report
from glotclip.evaluation.comparison import numbers, results, spread
from glotclip.evaluation.tables import Table

pytestmark = pytest.mark.slow


def scored(t2i: float, i2t: float, **subsets: float) -> dict[str, Any]:
    parts = {name: scored(value, value) for name, value in subsets.items()}
    return {"text_to_image": {"r@1": t2i}, "image_to_text": {"r@1": i2t}, "subsets": parts}


def with_interval(each: dict[str, Any], half: float) -> dict[str, Any]:
    sides = ("text_to_image", "image_to_text")
    bounds = {
        side: {**each[side], "ci95": {"r@1": [each[side]["r@1"] - half, each[side]["r@1"] + half]}} for side in sides
    }
    return {**each, **bounds}


#: English 80/90, then German, then Russian; the second direction is always 10 above the first.
ROWS: dict[str, dict[str, tuple[float, float]]] = {
    "start": {"en": (80, 90)},
    "de": {"en": (78, 88), "de": (50, 60)},
    "ru": {"en": (74, 84), "de": (44, 54), "ru": (30, 40)},
}


def cell(name: str = "plain", seed: int = 0, *, lift: float = 0.0, group: str = "", **changed: Any) -> dict[str, Any]:
    """A cell as it lies on the disk; ``lift`` is added to every score after the start."""
    scores = {
        task: {
            code: scored(
                *(value + lift * (task != "start") for value in pair), seen=pair[0] + 10, unseen=pair[0] - 10
            )
            for code, pair in row.items()
        }
        for task, row in ROWS.items()
    }
    final = {code: with_interval(each, 2.0) for code, each in scores["ru"].items()}
    return {
        "format": 1, "name": name, "group": group, "seed": seed, "model": "base", "data": "drawn",
        "inputs": {"method": "lexicon"}, "tasks": [["de"], ["ru"]], "protocol": "nine pictures", "text_weights": 1000,
        "training": {"de": {"trainable": 100, "seconds": 3.0}, "ru": {"trainable": 300, "seconds": 5.0}},
        "seconds": 10.0, "packs": {"shared": {"bytes": 4_000_000, "weights": 1_000_000}}, "skipped": 0,
        "scores": scores, "final": final, "environment": {"machine": "m", "date": f"2026-01-0{seed + 1}"}, **changed,
    }  # fmt: skip


def test_every_figure_by_hand() -> None:
    found = numbers(cell())
    # R@1 at the end: en 74/84, de 44/54, ru 30/40 (text → image / image → text)
    expected = {
        "average (T→I)": (74 + 44 + 30) / 3,
        "average (I→T)": (84 + 54 + 40) / 3,
        "average": (79 + 49 + 35) / 3,
        "learnt": (49 + 35) / 2,
        "learning accuracy": (85 + 55 + 35) / 3,
        "forgetting": ((85 - 79) + (55 - 49)) / 2,
        "en before": 85.0,
        "en after": 79.0,
        "en forgetting": 6.0,
        "en forgetting (T→I)": 6.0,
        "range": 44.0,
        "mean absolute gap": ((79 - 49) + (79 - 35)) / 2,
        "worst gap": 44.0,
        "worst gap (I→T)": 44.0,
        "standard deviation": math.sqrt(((79 - 163 / 3) ** 2 + (49 - 163 / 3) ** 2 + (35 - 163 / 3) ** 2) / 3),
        "seen": (84 + 54 + 40) / 3,
        "unseen": (64 + 34 + 20) / 3,
        "interval low": 163 / 3 - 2,
        "interval high (T→I)": 148 / 3 + 2,
        "learnt interval low": 42 - 2,
        "learnt interval high (I→T)": 47 + 2,
        "trainable weights": 200.0,
        "share of the tower": 20.0,
        "packs, MB": 4.0,
        "MB a language": 2.0,
        "seconds of training": 8.0,
        "seconds in all": 10.0,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name


def test_a_base_that_knows_the_languages_already() -> None:
    """What is learnt is then what the run went on with; English beside it is the reference."""
    known = {code: scored(value, value) for code, value in (("en", 80), ("de", 40), ("ru", 20), ("fr", 60))}
    after = {**known, "de": scored(50, 50), "ru": scored(26, 26)}
    found = numbers(cell(scores={"start": known, "de": after, "ru": after}, final={}, tasks=[["en", "de"], ["ru"]]))
    assert (found["learnt"], found["average"]) == (38, 54)


def test_scored_at_the_start_and_end_alone() -> None:
    """What lies between was not measured, and nothing is made up for it."""
    sparse = cell()
    del sparse["scores"]["de"]
    found = numbers(sparse)
    assert found["average"] == pytest.approx(163 / 3)
    assert found["en forgetting"] == 6.0
    assert found["learning accuracy"] is None
    assert found["forgetting"] is None


def test_without_intervals_and_with_a_task_that_nobody_timed() -> None:
    bare = cell(training={"de": {"trainable": 100, "seconds": 3.0}})
    bare["final"] = bare["scores"]["ru"]
    found = numbers(bare)
    assert found["interval low"] is None
    assert found["learnt interval low"] is None
    assert found["seconds of training"] is None


def test_mean_and_deviation_over_seeds() -> None:
    assert spread([1.0, 3.0]) == {"mean": 2.0, "deviation": pytest.approx(math.sqrt(2)), "values": [1.0, 3.0]}
    assert spread([1.0]) == {"mean": 1.0, "deviation": None, "values": [1.0]}
    assert spread([1.0, None]) is None
    (run,) = results([cell(seed=0), cell(seed=1, lift=3.0)])["runs"]
    assert run["seeds"] == [0, 1]
    assert run["numbers"]["average"]["mean"] == pytest.approx(163 / 3 + 1.5)
    assert run["numbers"]["average"]["deviation"] == pytest.approx(3 / math.sqrt(2))


def test_runs_of_a_group_stand_together() -> None:
    trials = [cell("a", group="x"), cell("b", group="y"), cell("c", group="x")]
    assert [run["name"] for run in results(trials)["runs"]] == ["a", "c", "b"]


def table(page: report.Report, section: str, place: int = 0) -> list[dict[str, str]]:
    part = next(each for each in page.sections if each.title == section).blocks[place]
    shown = part if isinstance(part, Table) else part.table()
    return [dict(zip(shown.columns, row, strict=True)) for row in shown.texts()]


def test_the_report() -> None:
    page = comparison.report([cell(), cell(seed=1, lift=3.0), cell("one")], title="Three", missing=["two-0"])
    plain, one = table(page, "Scores")
    assert (plain["average"], plain["seeds"]) == ("55.8 ± 2.1", "2")
    assert (one["average"], one["95 %"], one["forgetting"]) == ("54.3", "52.3–56.3", "6.0")
    assert table(page, "In the paper's form")[1] == {
        "method": "one", "I→T": "59.3 / 6.0 / 6.0", "T→I": "49.3 / 6.0 / 6.0",
    }  # fmt: skip
    assert table(page, "Costs")[1]["share of the tower"] == "20.00"
    assert table(page, "After each task")[2] == {"after": "ru", "plain": "55.8", "one": "54.3"}
    assert table(page, "Languages")[1] == {"run": "one", "en": "79.0", "de": "49.0", "ru": "35.0"}
    assert table(page, "Languages", 1)[1] == {"run": "one", "en": "6.0", "de": "6.0", "ru": "0.0"}
    assert "two-0" in page.summary
    text = report.markdown(page)
    assert "| method" in text
    assert "<svg" in report.html_page(page)


def test_a_joint_run_is_no_curve_and_orders_share_no_names() -> None:
    joint = cell("joint", tasks=[["de", "ru"]])
    joint["scores"] = {"start": joint["scores"]["start"], "de+ru": joint["scores"]["ru"]}
    page = comparison.report([cell(), joint])
    assert "joint" not in table(page, "After each task")[0]
    assert table(page, "Scores")[1]["forgetting"] == "6.0"  # of English, which was there before
    other = cell("other", tasks=[["ru"], ["de"]])
    other["scores"] = {"start": other["scores"]["start"], "ru": {}, "de": other["scores"]["ru"]}
    assert [row["after"] for row in table(comparison.report([cell(), other]), "After each task")] == ["0", "1", "2"]


def test_nothing_finished() -> None:
    assert "No trial" in report.markdown(comparison.report([]))
