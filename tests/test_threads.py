"""How many threads a process takes and how they wait: chosen before torch is loaded, never against the user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glotclip import threads

ASK = """
import json, os, sys
from glotclip.cli import main
main.run = lambda arguments: 0  # nothing but what the entry point does before any command
assert "torch" not in sys.modules
try:
    main.main()
except SystemExit:
    pass
import torch
seen = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
print(json.dumps({**seen, "torch": torch.get_num_threads()}))
"""


def in_a_process(**chosen: str) -> dict[str, object]:
    """What a process of the command line computes with when the user has set these."""
    unset = (*threads.NUMBERS, *threads.WAITING)
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, env={**environment, **chosen}, check=True, capture_output=True, text=True)
    value: dict[str, object] = json.loads(done.stdout)
    return value


@pytest.mark.slow
def test_the_command_line_chooses_before_torch_is_loaded() -> None:
    found = in_a_process()
    assert found["torch"] == threads.usable_cores()
    assert found["GOMP_SPINCOUNT"] in (str(threads.SPINS_QUIET), str(threads.SPINS_BUSY))


@pytest.mark.slow
def test_what_the_user_has_set_stays() -> None:
    found = in_a_process(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="ACTIVE")
    assert (found["torch"], found["OMP_WAIT_POLICY"], found["GOMP_SPINCOUNT"]) == (1, "ACTIVE", None)


@pytest.mark.parametrize(
    ("others", "processes", "spins"),
    [
        (0, 1, threads.SPINS_QUIET),
        (1, 1, threads.SPINS_BUSY),
        (3, 1, threads.SPINS_BUSY),
        (0, 2, threads.SPINS_QUIET),
        (0, 5, threads.SPINS_BUSY),
    ],
)
def test_on_a_busy_machine_threads_hardly_spin_but_are_as_many(
    monkeypatch: pytest.MonkeyPatch, others: int, processes: int, spins: int
) -> None:
    monkeypatch.setattr(threads, "others_running", lambda: others)
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    chosen = threads.rule({}, processes)
    assert (chosen["GOMP_SPINCOUNT"], chosen["OMP_NUM_THREADS"]) == (str(spins), str(max(1, 4 // processes)))


def test_the_load_is_what_wants_to_run_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.7, 0.0, 0.0), raising=False)
    (tmp_path / "proc").mkdir()
    said = {"9.00 9.00 9.00 1/250 77": 0, "0.00 0.00 0.00 4/250 77": 3, "0.00 0.00 0.00 0/0 0": 0, "odd": 0.7}
    for line, others in said.items():
        (tmp_path / "proc" / "loadavg").write_text(line + "\n", encoding="utf-8")
        assert threads.others_running(tmp_path) == others
    assert threads.others_running(tmp_path / "nowhere") == 0.7


@pytest.mark.slow
def test_a_busy_process_is_seen() -> None:
    if not Path("/proc/loadavg").exists():
        pytest.skip("the system does not say what runs now")
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        time.sleep(0.5)
        assert threads.others_running() >= 2
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize("name", [*threads.NUMBERS, *threads.WAITING])
def test_every_variable_counts_as_a_choice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "others_running", lambda: 0)  # two answers are compared: the load must not change
    chosen = threads.rule({name: "1"})
    ours = set(chosen) & ({*threads.NUMBERS} if name in threads.NUMBERS else {*threads.WAITING})
    assert not ours
    assert chosen  # the other half is still ours
    assert threads.rule({name: ""}) == threads.rule({}), "an empty variable says nothing"


def test_with_torch_loaded_nothing_is_touched() -> None:
    import torch

    assert torch
    before = dict(os.environ)
    assert threads.choose() == {}
    assert dict(os.environ) == before


def test_children_share_the_cores_and_inherit_the_users_choice_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)
    monkeypatch.setattr(threads, "_chosen", {"OMP_NUM_THREADS": "8"})  # set by us, for this process
    for name in (*threads.NUMBERS, *threads.WAITING):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert [threads.for_children(count)["OMP_NUM_THREADS"] for count in (1, 2, 3, 20)] == ["8", "4", "2", "1"]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # by the user
    assert threads.for_children(2)["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 6),
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, 6),
        ({"sys/fs/cgroup/cpu.max": "250000 100000"}, 2),
        ({"sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
        ({"sys/fs/cgroup/cpu.max": "9900000 100000"}, 6),
        ({"sys/fs/cgroup/a/b/cpu.max": "max 100000", "sys/fs/cgroup/a/cpu.max": "300000 100000"}, 3),
        ({"sys/fs/cgroup/cpu.max": "nonsense"}, 6),
        (
            {
                "proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/a\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "400000",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        ({"proc/self/cgroup": "4:cpu:/a\n", "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1"}, 6),
    ],
)
def test_a_containers_share_of_the_processor_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    if files:
        files = {"proc/self/cgroup": "0::/a/b\n", **files}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content + "\n", encoding="utf-8")
    assert threads.usable_cores(tmp_path) == cores


def test_held_at_gives_back_what_was() -> None:
    import torch

    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), threads.held_at(before + 2):
        assert torch.get_num_threads() == before + 2
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
    with threads.held_at(None):
        assert torch.get_num_threads() == before
