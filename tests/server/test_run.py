"""The server as a process: it says where it listens, answers, and ends what it does when it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
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
    port = int(address.rpartition(":")[2])
    body = b'{"texts": ["a dog"], "min_probability": 0}'
    head = "POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(16)]
    for sock in sockets:
        sock.sendall(request[:-10])
    while "glotclip_requests_inside 17.0" not in httpx.get(f"{address}/metrics", timeout=30).text:
        pass  # with this one itself
    made.send_signal(signal.SIGTERM)
    for sock in sockets:
        sock.sendall(request[-10:])
    answers = [sock.makefile("rb").read() for sock in sockets]
    made.wait(20)
    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"200"] * 16
    assert all(answer.count(b'"item":') == 40 for answer in answers)  # whole


def test_an_address_that_is_taken(library: Library) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match="cannot listen"):
            serve(library, ServerSettings(port=other.getsockname()[1]))
