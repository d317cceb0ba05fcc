"""Freed memory stays with the process where glibc can be told so."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import resource, sys
import numpy as np
from glotclip.allocation import keep_memory
if sys.argv[1] == "keep":
    print(keep_memory())
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        [np.ones(4 << 20, np.float32) for _ in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


POOLS = """
import ctypes, sys, threading
from glotclip.allocation import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.fopen.restype = ctypes.c_void_p, ctypes.c_void_p
together = threading.Barrier(8)
def take():
    together.wait()
    libc.malloc(ctypes.c_size_t(1000))
    together.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
[each.start() for each in threads]
[each.join() for each in threads]
stream = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
"""


def run(*words: str, code: str = CODE) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_pages_are_paid_for_once() -> None:
    kept, (plain,) = run("keep"), run("plain")
    assert kept[0] == "True"
    assert int(kept[1]) * 10 < int(plain)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_threads_share_a_few_pools(tmp_path: Path) -> None:
    pools = {}
    for word in ("keep", "plain"):
        run(word, str(tmp_path / word), code=POOLS)
        pools[word] = (tmp_path / word).read_text().count("<heap nr=")
    assert pools["keep"] <= 4 < pools["plain"]
