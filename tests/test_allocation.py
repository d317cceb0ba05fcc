"""Freed memory stays with the process where glibc can be told so."""

from __future__ import annotations

import platform
import subprocess
import sys

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


def run(word: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", CODE, word], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_pages_are_paid_for_once() -> None:
    kept, (plain,) = run("keep"), run("plain")
    assert kept[0] == "True"
    assert int(kept[1]) * 10 < int(plain)
