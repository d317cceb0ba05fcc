"""``extend`` in processes of its own: what it writes and says, and what a kill leaves."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

pytestmark = pytest.mark.slow


def test_it_writes_model_report_and_results(world: World, extended: Path) -> None:
    files = {path.name for path in extended.iterdir()}
    assert {"polyglot.json", "packs", "config.json", "results.json", "report.md", "report.html"} <= files
    assert ".run" not in files
    results = json.loads((extended / "results.json").read_text(encoding="utf-8"))
    assert results["languages"] == ["en", "de", "fr"]
    assert results["settings"]["steps"] == 25
    assert results["matrix"]["tasks"] == [["de"], ["fr"]]
    assert len(results["matrix"]["scores"]) == 3
    assert results["summary"]["forgetting_en"] == 0  # per-language isolation
    assert list(results["evaluations"]) == ["start", "de", "fr"]
    assert set(results["environment"]) >= {"glotclip", "torch", "machine", "date"}
    assert "forgetting" in (extended / "report.md").read_text(encoding="utf-8")


def test_a_line_after_each_task_and_a_table_at_the_end(world: World, tmp_path: Path) -> None:
    out, _ = world.run(*world.extend(tmp_path / "out", "de"), "--lang", "hi", "--set", "isolation=shared")
    lines = out.splitlines()
    assert any(line.startswith("de (1 of 2): ") and "weights train" in line for line in lines)
    assert any("R@1 hi" in line and "average of 3" in line and "English" in line for line in lines)
    assert "language  learnt  at the end  change" in out
    assert lines[-1].endswith("speaks en, de, hi")


def test_json_is_all_of_standard_output_and_the_model_may_be_out_itself(
    world: World, extended: Path, tmp_path: Path
) -> None:
    import shutil

    again = tmp_path / "again"
    shutil.copytree(extended, again)
    before = world.weights(again)
    out, err = world.run(
        "extend", again, "--lang", "hi", "--data", world.captions, "--out", again, *world.quick, "--json"
    )
    value = json.loads(out)
    assert value["languages"] == ["en", "de", "fr", "hi"]
    assert "hi (1 of 1)" in err
    after = world.weights(again)
    assert set(after) == {"de", "fr", "hi"}
    assert {name: after[name] for name in before} == before


def test_a_dry_run_writes_nothing_and_measures(world: World, here: Here, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments: list[str | Path] = [
        "extend",
        world.base,
        "--lang",
        "de,hi",
        "--data",
        world.captions,
        "--out",
        out,
        "--dry-run",
    ]
    value = here.json(*arguments, "--set", "steps=30", "--set", "vocabulary=400", "--set", "isolation=shared")
    assert not out.exists()
    german, hindi = value["tasks"]
    assert german["steps"] == 30
    assert german["captions"] == 9
    assert german["trainable"] == german["facts"]["rows_trained"] * 32
    assert german["seconds"] > 0
    assert german["peak_bytes"] > 50e6
    before, after = hindi["before"]["hi"], hindi["after"]["hi"]
    assert before["byte_fallback"] > 0.9  # a base without Devanagari spells it byte by byte
    assert after["byte_fallback"] < before["byte_fallback"]
    assert after["tokens_per_word"] < before["tokens_per_word"]
    shown, _ = here(*arguments, "--set", "steps=30")
    assert "trainable weights" in shown
    assert "byte fallback" in shown
    assert "Nothing was written" in shown


def test_without_evaluation_and_report(world: World, here: Here, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said, _ = here(*world.extend(out, "de"), "--no-evaluate", "--no-report")
    assert "nothing was evaluated" in said
    assert not (out / "report.md").exists()
    assert json.loads((out / "results.json").read_text(encoding="utf-8"))["matrix"] is None


def wait_for_checkpoint(out: Path) -> None:
    """Wait until a run has saved its state in the middle of a task."""
    patience = time.monotonic() + 60
    while not list((out / ".run").glob("*.safetensors")):
        assert time.monotonic() < patience, "the run has saved nothing"
        time.sleep(0.005)


def test_kill_9_changes_nothing_in_the_result(world: World, extended: Path, tmp_path: Path) -> None:
    out, killed = tmp_path / "out", 0
    rng = random.Random(time.time_ns())
    for _ in range(2):
        process = world.start(*world.extend(out))
        wait_for_checkpoint(out)
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed
    world.run(*world.extend(out))
    assert world.weights(out) == world.weights(extended)
    assert not list(out.rglob("*.part"))


def test_ctrl_c_stops_with_a_word_and_the_same_command_goes_on(world: World, extended: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = world.start(*world.extend(out))
    wait_for_checkpoint(out)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing is lost" in err
    assert "Traceback" not in err
    said, _ = world.run(*world.extend(out))
    assert "went on from step" in said
    assert world.weights(out) == world.weights(extended)


def test_killed_and_repeated_on_a_machine_that_gives_other_threads(world: World, tmp_path: Path) -> None:
    """As on a machine that has become busy: the run goes on with the threads it began with, to the same bits."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    world.run(*world.extend(whole, "de"), more={"OMP_NUM_THREADS": "2"})
    process = world.start(*world.extend(out, "de"), more={"OMP_NUM_THREADS": "2"})
    wait_for_checkpoint(out)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    world.run(*world.extend(out, "de"), more={"OMP_NUM_THREADS": "1"})
    plans = [json.loads((folder / "config.json").read_text(encoding="utf-8")) for folder in (whole, out)]
    assert [plan["threads"] for plan in plans] == [2, 2]
    assert world.weights(out) == world.weights(whole)


def test_other_settings_on_an_unfinished_run_are_refused(world: World, here: Here, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = world.start(*world.extend(out))
    wait_for_checkpoint(out)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = world.tree(out)
    complaint = here.error(*world.extend(out), "--set", "lr=1e-3")
    assert "unfinished run" in complaint
    assert world.tree(out) == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "stpes=5"], "did you mean 'steps'"),
        (["--set", "steps"], "--set name=value"),
        (["--set", "steps=-1"], "'steps'"),
        (["--method", "lexikon"], "full, hard-prompt, lexicon"),
        (["--joint"], "isolation=shared"),
        (["--recipe", "absent.yaml"], "does not exist"),
        (["--device", "abacus"], "unknown device"),
    ],
)
def test_wrong_settings_say_what_is_right(
    world: World, here: Here, tmp_path: Path, more: list[str], message: str
) -> None:
    complaint = here.error(*world.extend(tmp_path / "out"), *more, code=2)
    assert message in complaint
    assert not (tmp_path / "out").exists()
