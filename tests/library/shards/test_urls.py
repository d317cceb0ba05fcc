"""Tables of addresses: fetched from a real server that gives all kinds of answers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.library.conftest import CountingEncoder, picture

from glotclip.errors import DataError
from glotclip.library.library import Library
from glotclip.library.shards import bring, urls


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Counter[str], dict[str, bytes]]]:
    """A server's address, how often each path was asked for, and what it has."""
    asked: Counter[str] = Counter()
    has = {f"/{n}.png": picture(tmp_path / f"{n}.png", n).read_bytes() for n in range(4)}
    has["/page.png"] = b"<html>no picture</html>"

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked[self.path] += 1
            if self.path in ("/loop", "/file"):
                self.send_response(302)
                self.send_header("location", "/loop" if self.path == "/loop" else "file:///etc/passwd")
                self.end_headers()
            elif self.path in ("/huge", "/slow"):
                self.send_response(200)
                self.end_headers()
                for _ in range(40):
                    self.wfile.write(bytes(1000))
                    time.sleep(0.1 if self.path == "/slow" else 0)
            elif self.path in has:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(has[self.path])
            else:
                self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked, has
        running.shutdown()


def table(path: Path, addresses: Sequence[str | None], column: str = "url") -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    pyarrow.parquet = __import__("pyarrow.parquet").parquet
    rows = {column: list(addresses), "caption": ["words"] * len(addresses)}
    pyarrow.parquet.write_table(pyarrow.table(rows), path)
    return path


def test_pictures_are_fetched_once_and_what_failed_is_named(
    library: Library, encoder: CountingEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    server: tuple[str, Counter[str], dict[str, bytes]],
) -> None:  # fmt: skip
    home, asked, has = server
    monkeypatch.setattr(urls, "MOST_BYTES", 20_000)
    monkeypatch.setattr(urls, "SECONDS_IN_ALL", 0.5)
    bad = {
        f"{home}/none.png": "the server says 404 Not Found", f"{home}/page.png": "no picture",
        f"{home}/loop": "not fetched (too many redirects)", f"{home}/file": "not fetched",
        f"{home}/huge": "more than 20,000 bytes", f"{home}/slow": "not there after 0.5 s",
        "file:///etc/passwd": "not an address of http or https", "http://127.0.0.1:1/x.png": "not fetched",
        "http://[": "not fetched",
    }  # fmt: skip
    good = [f"{home}/{n}.png" for n in range(3)]
    shard = table(tmp_path / "urls.parquet", [*good, *bad, good[0], None, ""])
    report = library.index([shard], encoder=encoder)
    assert (report.encoded, report.items) == (3, 3)
    said = {each.where: each.reason for each in report.skipped}
    assert said.keys() == bad.keys()
    for url, reason in bad.items():
        assert said[url].startswith(reason), (url, said[url])
    has["/none.png"] = has["/3.png"]
    again = library.index([shard], encoder=encoder)
    assert (again.encoded, again.items, len(again.skipped)) == (1, 4, len(bad) - 1)
    assert [asked[f"/{n}.png"] for n in range(3)] == [1, 1, 1]
    table(shard, good[:1])
    assert library.index([shard], encoder=encoder).items == 1
    assert library.index([shard], encoder=encoder).unchanged == 1


def test_tables_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="is no parquet"):
        bring(tmp_path / "x.parquet", tmp_path / "home")
    with pytest.raises(DataError, match="no column of addresses; it has link, caption"):
        bring(table(tmp_path / "y.parquet", ["http://x"], column="link"), tmp_path / "home")
