"""Queries a second of `glotclip serve`, and how it bears a crowd that is not all friendly.

    python benchmarks/serve.py [--photos DIR] [--seconds 10] [--minutes 10] [--only rates soak schema] [--out DIR]

Photographs (../shared/data/photos/images) are indexed with photo-clip and served by a process of its own; this one
asks. *New* queries differ, so that each is encoded; *known* ones repeat, so that their vectors are kept. In the soak
32 clients mix searches, pictures that are sent, thumbnails, files, embeddings and hostile requests; noted is every
status and the server's memory (resident, MB): the first figure is after a tenth of the time. ``schema`` runs
schemathesis (of the PATH) with ``benchmarks/schemathesis.toml`` against the same server. What ``--only`` leaves out
keeps its committed figures. Server and clients share two cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from glotclip import api
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.storage import read_json, write_json, write_text

HERE = Path(__file__).resolve().parent
PARTS = ("rates", "soak", "schema")
CLIENTS = (1, 8, 32)
CROWD = 32
SECRET = b"nobody must ever read this over the network"
NOUNS = (
    "dog", "cat", "bird", "car", "tree", "boat", "house", "guitar", "flower", "bridge", "mountain", "fish", "train",
    "horse", "clock", "chair",
)  # fmt: skip
PLACES = (
    "beach", "street", "garden", "kitchen", "forest", "city", "river", "snow", "night", "market", "field", "room",
    "park", "lake", "sky", "hill",
)  # fmt: skip


@dataclass
class Answers:
    """Statuses and times, gathered by many threads."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    leaks: int = 0
    lost: int = 0

    def add(self, status: int, body: bytes, took: float) -> None:
        """Note an answer."""
        self.statuses[status] += 1
        self.seconds.append(took)
        self.leaks += SECRET in body


class Client:
    """A connection that is kept open, as browsers do."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)

    def ask(self, answers: Answers, method: str, path: str, body: bytes | None = None, kind: str = "") -> None:
        """Send a request; a connection that the server has ended is opened again."""
        began = time.perf_counter()
        try:
            self.connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = self.connection.getresponse()
            answers.add(answer.status, answer.read(), time.perf_counter() - began)
        except (OSError, http.client.HTTPException):
            answers.lost += 1
            self.connection.close()
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)


@contextmanager
def served(library: Path) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and process."""
    command = [
        sys.executable,
        "-c",
        "from glotclip.cli.main import main; main()",
        "serve",
        str(library),
        "--port",
        "0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        found = next(filter(None, (re.search(r"http://127.0.0.1:(\d+)", line) for line in process.stdout)))
        yield int(found[1]), process.pid
    finally:
        process.terminate()
        process.wait(30)


def memory(process: int) -> float:
    """Resident memory in MB, as Linux tells it."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def crowd(port: int, clients: int, seconds: float, work: Callable[[Client, random.Random, Answers], None]) -> Answers:
    """Let clients ask for some time, each as soon as it has its answer."""
    answers, end = Answers(), time.monotonic() + seconds

    def one(number: int) -> None:
        client, draw = Client(port), random.Random(number)
        while time.monotonic() < end:
            work(client, draw, answers)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def new_query(client: Client, draw: random.Random, answers: Answers) -> None:
    """A search for words that nobody has asked for before."""
    words = f"a {draw.choice(NOUNS)} near a {draw.choice(NOUNS)} in the {draw.choice(PLACES)} {draw.randrange(10**9)}"
    client.ask(answers, "GET", f"/api/search?limit=20&q={quote(words)}")


def known_query(client: Client, draw: random.Random, answers: Answers) -> None:
    """A search for words that others ask for, too."""
    client.ask(answers, "GET", f"/api/search?limit=20&q={quote(f'a {draw.choice(NOUNS)}')}")


def mixture(pictures: list[bytes], items: int) -> Callable[[Client, random.Random, Answers], None]:
    """What a crowd does: half of it searches."""
    hostile = [
        ("GET", "/thumbs/../../etc/passwd"), ("GET", "/files/..%2f..%2fsecret.txt"), ("GET", f"/files/{2**70}"),
        ("GET", "/page/..%2f..%2fapp.py"), ("GET", "/api/search?q=%00"), ("GET", "/api/search?q=" + "a" * 5_000),
        ("GET", "/api/search?q=" + quote(" -a" * 300)), ("GET", "/api/search?q=a&folder=/etc"),
        ("GET", "/api/search?q=a&limit=1e9"), ("POST", "/api/search"), ("BREW", "/"), ("GET", "//etc/passwd"),
    ]  # fmt: skip
    bodies = [b"[" * 10_000, b'{"texts":[{"text":"\\ud800"}]}', b"\xff" * 1_000, b"x" * (1 << 21)]

    def work(client: Client, draw: random.Random, answers: Answers) -> None:
        dice, item = draw.random(), draw.randrange(1, items + 1)
        if dice < 0.3:
            new_query(client, draw, answers)
        elif dice < 0.5:
            known_query(client, draw, answers)
        elif dice < 0.6:
            edge = b"edge"
            head = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
            body = head + draw.choice(pictures) + b"\r\n--" + edge + b"--\r\n"
            client.ask(answers, "POST", "/api/search/image", body, "multipart/form-data; boundary=edge")
        elif dice < 0.8:
            client.ask(answers, "GET", f"/thumbs/{item}?size={draw.choice((320, 1280))}")
        elif dice < 0.84:
            client.ask(answers, "GET", f"/files/{item}")
        elif dice < 0.88:
            body = json.dumps({"input": [f"a {draw.choice(NOUNS)}", f"a {draw.choice(PLACES)}"]}).encode()
            client.ask(answers, "POST", "/v1/embeddings", body, "application/json")
        elif dice < 0.97:
            client.ask(answers, *draw.choice(hostile))
        else:
            client.ask(answers, "POST", "/api/search", draw.choice(bodies), "application/json")

    return work


def rates(port: int, seconds: float) -> list[dict[str, Any]]:
    """Queries a second, and how long they take."""
    rows = []
    for name, work in (("new", new_query), ("known", known_query)):
        crowd(port, 4, 1, work)
        for clients in CLIENTS:
            answers = crowd(port, clients, seconds, work)
            assert set(answers.statuses) == {200}, answers.statuses
            p50, p99 = np.quantile(np.array(answers.seconds) * 1e3, [0.5, 0.99])
            rows.append({
                "queries": name, "clients": clients, "a second": round(len(answers.seconds) / seconds, 1),
                "p50 ms": round(float(p50), 1), "p99 ms": round(float(p99), 1),
            })  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def soak(port: int, process: int, minutes: float, pictures: list[bytes], items: int) -> dict[str, Any]:
    """A crowd for some minutes."""
    figures: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(minutes * 6):
            figures.append(memory(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    answers = crowd(port, CROWD, minutes * 60, mixture(pictures, items))
    over.set()
    watcher.join()
    found = {
        "minutes": minutes, "clients": CROWD, "requests": len(answers.seconds),
        "statuses": {str(code): count for code, count in sorted(answers.statuses.items())},
        "5xx": sum(count for code, count in answers.statuses.items() if code >= 500), "leaks": answers.leaks,
        "connections ended": answers.lost, "memory MB first": round(figures[0]),
        "memory MB last": round(memory(process)), "memory MB": [round(each) for each in figures],
    }  # fmt: skip
    print(found, flush=True)
    return found


def schema(port: int, seconds: int, folder: str) -> dict[str, Any]:
    """What schemathesis finds."""
    done = subprocess.run(
        [
            "schemathesis", "--config-file", str(HERE / "schemathesis.toml"),
            "run", f"http://127.0.0.1:{port}/openapi.json", "--phases", "coverage,fuzzing", "--seed", "1",
            "--max-time", str(seconds), "--continue-on-failure",
        ],
        capture_output=True, text=True, cwd=folder,  # it leaves its own files behind
    )  # fmt: skip
    cases = re.search(r"([\d,]+) generated", done.stdout)
    failures = re.search(r"found (\d+) unique", done.stdout)
    if done.returncode:
        print(done.stdout[-4_000:])
    return {
        "cases": int(cases[1].replace(",", "")) if cases else 0, "clean": done.returncode == 0,
        "failures": int(failures[1]) if failures else 0,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=HERE.parents[1] / "shared" / "data" / "photos" / "images")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    before = read_json(given.out / "serve.json") if set(given.only) < set(PARTS) else {}
    result: dict[str, Any] = {"environment": environment(), **before}
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "secret.txt").write_bytes(SECRET)
        report = api.index(given.photos, Path(root) / "library")
        pictures = [path.read_bytes() for path in sorted(given.photos.iterdir())[:50]]
        with served(Path(root) / "library") as (port, process):
            if "rates" in given.only:
                result |= {"items": report.items, "rates": rates(port, given.seconds)}
            if "soak" in given.only:
                result["soak"] = soak(port, process, given.minutes, pictures, report.items)
            if "schema" in given.only:
                result["schemathesis"] = schema(port, 120, root)
    columns = tuple(result["rates"][0])
    title = f"Queries a second among {report.items} photographs (photo-clip, two cores shared with the clients)"
    table = Table(columns, tuple(tuple(row.values()) for row in result["rates"]), title)
    kept = result["soak"]
    words = (
        f"{kept['clients']} clients for {kept['minutes']:g} minutes: {kept['requests']:,} requests, "
        f"{kept['5xx']} answers of 5xx, {kept['leaks']} of a file outside; memory {kept['memory MB first']} MB "
        f"after a tenth of the time, {kept['memory MB last']} MB at the end."
    )
    found = result["schemathesis"]
    words += f" schemathesis: {found['cases']:,} cases, {found['failures']} failures."
    given.out.mkdir(parents=True, exist_ok=True)
    write_json(given.out / "serve.json", result)
    write_text(given.out / "serve.md", f"{markdown(table)}\n{words}\n")


if __name__ == "__main__":
    main()
