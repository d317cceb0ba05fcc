"""How many threads a process computes with, and how they wait for one another; chosen before torch is loaded.

torch computes on a processor with OpenMP, whose libraries read the environment once, when they are loaded. Where
nobody has set anything, each thread that waits for another spins (libgomp for milliseconds), which is the fastest on
a quiet machine and stands still on a busy one: the thread waited for cannot run, since the waiting one has its core.
So where more wants to run than the machine has cores, waiting threads hardly spin before they sleep; elsewhere they
spin for a millisecond at most, since the load may change a minute later. benchmarks/results/threads.md measures it.

The number of threads follows from the machine alone: the cores that this process may use. It never follows the load,
since sums are split by threads, which changes their last bits, and a run that is repeated or goes on after a kill
must end in the same ones. A run goes on with as many as it began with (:func:`held_at`).
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path

#: What says how many threads compute; who sets one of them has chosen.
NUMBERS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_DYNAMIC")
#: What says how they wait.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
#: How often a waiting thread of libgomp looks before it sleeps; a look takes 20 to 50 ns. Its own is 300,000.
SPINS_QUIET, SPINS_BUSY = 10_000, 100
#: The same in milliseconds for LLVM's and Intel's OpenMP (torch on macOS and Windows); their own is 200.
BLOCK_QUIET, BLOCK_BUSY = 1, 0
_LOOKS, _SECONDS_APART = 5, 0.004

_chosen: dict[str, str] = {}


def choose(environment: MutableMapping[str, str] | None = None) -> dict[str, str]:
    """Set threads and waiting in the environment, as far as the user has set neither; call it before torch is loaded.

    Args:
        environment: of this process; by default ``os.environ``.

    Returns:
        What was set, empty where the user has chosen, or torch is loaded and would not see it any more.
    """
    if environment is None:
        if "torch" in sys.modules:
            return {}
        environment = os.environ
    new = rule(environment)
    environment.update(new)
    _chosen.update(new)
    return new


def rule(environment: Mapping[str, str], processes: int = 1) -> dict[str, str]:
    """What to set for one of so many processes that compute side by side, beside what the user has set already."""
    new: dict[str, str] = {}
    threads = max(1, usable_cores() // processes)
    if not any(environment.get(name) for name in NUMBERS):
        new["OMP_NUM_THREADS"] = str(threads)
    if not any(environment.get(name) for name in WAITING):
        busy = others_running() + threads * processes > (os.cpu_count() or 1)
        new["GOMP_SPINCOUNT"] = str(SPINS_BUSY if busy else SPINS_QUIET)
        new["KMP_BLOCKTIME"] = str(BLOCK_BUSY if busy else BLOCK_QUIET)
    return new


def others_running(root: Path = Path("/")) -> float:
    """How many threads of other processes want to run just now: the median of a few looks within 20 ms.

    Where the system does not say, what it says of the last minute, else 0.

    Args:
        root: where ``proc`` lies.
    """
    try:
        looks = []
        for look in range(_LOOKS):
            time.sleep(_SECONDS_APART if look else 0)
            running = (root / "proc/loadavg").read_text(encoding="utf-8").split()[3].split("/")[0]
            looks.append(max(0, int(running) - 1))  # without the thread that asks
        return statistics.median(looks)
    except (OSError, ValueError, IndexError):
        return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def for_children(processes: int) -> dict[str, str]:
    """The environment of child processes, so many side by side, that share the cores; the user's choice is kept."""
    own = {name: value for name, value in os.environ.items() if _chosen.get(name) != value}
    return {**own, **rule(own, processes)}


def usable_cores(root: Path = Path("/")) -> int:
    """Cores this process may use: its affinity, and its container's share of processor time, rounded down.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(cores, _quota(root))))


def _quota(root: Path) -> float:
    """The smallest limit of processor time, in cores, that control groups set for this process; infinite if none."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux, or no such thing
        return math.inf
    limits = [math.inf]
    for line in lines:
        _, controllers, place = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        group = mount / place.lstrip("/")
        # A limit of any group above counts as well. In a container its own group is the mount's root.
        for folder in (group, *group.parents):
            limits.append(_limit(folder))
            if folder == mount:
                break
    return min(limits)


def _limit(folder: Path) -> float:
    """A control group's own limit, of version 2 or 1."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8").strip()
        return int(quota) / int(period) if quota not in ("max", "-1") else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


@contextmanager
def held_at(count: int | None) -> Iterator[None]:
    """Compute with so many of torch's threads, as a run did that goes on here; None leaves them as they are."""
    import torch

    before = torch.get_num_threads()
    if count and count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
