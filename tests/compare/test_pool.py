"""Processes side by side, each a script of a line: turns, faults, Ctrl-C, and a parent that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glotclip import threads
from glotclip.compare.pool import run_side_by_side
from glotclip.compare.recipe import Recipe
from glotclip.compare.trial import Trial

pytestmark = pytest.mark.slow

ENDLESS = (
    "import sys, time; from glotclip.compare.pool import stop_with_parent; stop_with_parent()\n"
    "open(sys.argv[1], 'w').write('begun')\n"
    "try:\n    time.sleep(60)\n"
    "except KeyboardInterrupt:\n    open(sys.argv[1], 'w').write('saved'); sys.exit(130)\n"
)


def trials(*names: str) -> list[Trial]:
    return Recipe.model_validate({"languages": "de", "runs": [{"name": name} for name in names]}).trials()


def run(folder: Path, scripts: dict[str, str], processes: int = 2) -> dict[str, str]:
    """Run a script for each trial; it finds a path of its own as argument."""
    faults: dict[str, str] = {}
    run_side_by_side(
        trials(*scripts),
        lambda trial: ["-c", scripts[trial.run.name], str(folder / trial.run.name)],
        folder / "work",
        processes,
        lambda trial, fault: faults.update({trial.slug: fault}),
    )
    return faults


def test_never_more_than_so_many_at_a_time_and_cores_are_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in threads.NUMBERS:
        monkeypatch.delenv(name, raising=False)
    note = "import os, sys, time; begun = time.time(); time.sleep(0.4)\n"
    note += "open(sys.argv[1], 'w').write(f'{begun} {time.time()} {os.environ[\"OMP_NUM_THREADS\"]}')"
    assert run(tmp_path, dict.fromkeys("abcd", note)) == {f"{name}-0": "" for name in "abcd"}
    spans = [(tmp_path / name).read_text(encoding="utf-8").split() for name in "abcd"]
    for begun, _, share in spans:
        assert sum(float(one) <= float(begun) < float(two) for one, two, _ in spans) <= 2
        assert int(share) == max(1, threads.usable_cores() // 2)
    assert list((tmp_path / "work").iterdir()) == []


def test_faults_are_told_in_the_childs_own_words(tmp_path: Path) -> None:
    faults = run(
        tmp_path,
        {
            "said": "import sys; print('error: no such thing\\n  → look', file=sys.stderr); sys.exit(2)",
            "raised": "raise ValueError('odd')",
            "killed": "import os; os.kill(os.getpid(), 9)",
            "well": "print('done')",
        },
    )
    assert faults["said-0"].startswith("no such thing (left with exit code 2; all it said: ")
    assert faults["raised-0"].startswith("ValueError: odd (left with exit code 1")
    assert faults["killed-0"].startswith("no word (ended by SIGKILL")
    assert faults["well-0"] == ""
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == [
        "killed-0.log",
        "raised-0.log",
        "said-0.log",
    ]


@pytest.mark.slow
def test_an_interrupt_lets_the_children_save(tmp_path: Path) -> None:
    def stop(trial: Trial, fault: str) -> None:
        wait_for(tmp_path / "endless", "begun")
        raise KeyboardInterrupt

    scripts = {"endless": ENDLESS, "short": "pass", "never": "open(r'%s', 'w')" % (tmp_path / "never")}
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side(
            trials(*scripts),
            lambda trial: ["-c", scripts[trial.run.name], str(tmp_path / trial.run.name)],
            tmp_path / "work",
            2,
            stop,
        )
    assert (tmp_path / "endless").read_text(encoding="utf-8") == "saved"
    assert not (tmp_path / "never").exists()


@pytest.mark.slow
def test_children_stop_when_the_parent_is_killed(tmp_path: Path) -> None:
    parent = (
        "import sys; from pathlib import Path; from glotclip.compare.pool import run_side_by_side\n"
        "from glotclip.compare.recipe import Recipe\n"
        "trials = Recipe.model_validate({'languages': 'de', 'runs': [{'name': 'a'}]}).trials()\n"
        "command = lambda trial: ['-c', sys.argv[2], sys.argv[1] + '/a']\n"
        "run_side_by_side(trials, command, Path(sys.argv[1]) / 'work', 2, print)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent, str(tmp_path), ENDLESS])
    wait_for(tmp_path / "a", "begun")
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(tmp_path / "a", "saved")


def wait_for(path: Path, text: str) -> None:
    until = time.monotonic() + 30
    while not (path.exists() and path.read_text(encoding="utf-8") == text):
        assert time.monotonic() < until
        time.sleep(0.05)
