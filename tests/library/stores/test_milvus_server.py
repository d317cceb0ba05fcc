"""Milvus itself, as it runs on a server: the tests of all engines, in a network of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# The launcher's own stop ends the server; killing the launcher would leave it running.
INSIDE = """
import os, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
from milvus import default_server
default_server.set_base_dir(sys.argv[1])
default_server.start()
try:
    given = {**os.environ, "PYTEST_ADDOPTS": "", "GLOTCLIP_TEST_MILVUS": f"milvus://127.0.0.1:{default_server.listen_port}"}
    sys.exit(subprocess.run([sys.executable, "-m", "pytest", *sys.argv[2:]], env=given).returncode)
finally:
    default_server.stop()
"""


def alone() -> list[str]:
    """The command that starts another in a network of its own, or nothing where that is not allowed."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        try:
            if subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0:
                return command
        except OSError:
            return []
    return []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_real_server_gives_the_same_answers(tmp_path: Path) -> None:
    pytest.importorskip("milvus")
    if not (network := alone()):
        pytest.skip("Milvus listens on every interface, and no network of its own can be made here")
    command = [*network, sys.executable, "-c", INSIDE, str(tmp_path / "milvus"), str(HERE / "test_protocol.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[2])
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout, done.stdout
