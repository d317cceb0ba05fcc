"""The server as a process: it says where it listens, answers, and ends what it does when it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from glotclip.errors import ConfigError
from glotclip.library.library import Library
from glotclip.packs.polyglot import Polyglot
from glotclip.server.run import serve
from glotclip.server.settings import ServerSettings

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow


@pytest.fixture
def process(library: Library, base: DualEncoder, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``glotclip serve`` of a library, and its address."""
    model = Polyglot(base).save(tmp_path / "model", with_base=True)
    command = [sys.executable, "-m", "glotclip.cli.main", "serve", str(library.path), "--port", "0"]
    command += ["--model", str(model), "--device", "cpu"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    made = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    assert made.stdout is not None
    line = made.stdout.readline()
    assert "40 pictures and videos at http://127.0.0.1:" in line, line
    yield made, line.split(" at ")[1].split()[0]
    made.kill()
    made.wait(20)


def test_a_server_that_is_told_to_stop_answers_what_it_was_asked(process: tuple[subprocess.Popen[str], str]) -> None:
    made, address = process
    found = httpx.get(f"{address}/api/search", params={"q": "a dog", "min_probability": 0}, timeout=30)
    assert found.status_code == 200 and len(found.json()["hits"]) == 40
    answers: list[int] = []

    def ask(number: int) -> None:
        try:
            answers.append(httpx.get(f"{address}/thumbs/{number}?size=1280", timeout=30).status_code)
        except httpx.ConnectError:  # it came after the server had stopped listening
            answers.append(0)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 17)]
    for thread in threads:
        thread.start()
    made.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    made.wait(20)
    assert set(answers) <= {0, 200} and len(answers) == 16


def test_an_address_that_is_taken(library: Library) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match="cannot listen"):
            serve(library, ServerSettings(port=other.getsockname()[1]))
