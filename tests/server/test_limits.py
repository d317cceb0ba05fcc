"""Size, time, number and origin of requests, and the headers of every answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import Start

from glotclip.server.access import Access
from glotclip.server.limits import HEADERS, Guard
from glotclip.server.settings import ServerSettings

TOKEN = "0123456789abcdef"


def test_too_large_is_refused_before_it_is_read(start: Start) -> None:
    client = start(body=1000)
    answer = client.post("/api/search", content=b"x" * 1001, headers={"content-type": "application/json"})
    assert answer.status_code == 413 and "MB" in answer.json()["error"]
    streamed = client.post("/api/search", content=iter([b"x" * 600, b"x" * 600]))  # says no length
    assert streamed.status_code == 413
    assert client.post("/api/search", json={"texts": ["a dog"]}).status_code == 200


def test_every_answer_has_the_headers_that_keep_a_page_in_its_bounds(client: TestClient) -> None:
    for address in ("/", "/api/search?q=dog", "/thumbs/1", "/nowhere", "/api/search"):
        headers = client.get(address).headers
        for name, value in HEADERS:
            assert headers[name.decode()] == value.decode()
    assert "script-src 'self'" in client.get("/").headers["content-security-policy"]


def test_only_its_own_names_are_answered(client: TestClient) -> None:
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/health", headers={"host": "localhost:8420"}).status_code == 200


def test_other_sites_pages_see_nothing(client: TestClient) -> None:
    for address in ("/thumbs/1", "/files/1", "/api/search?q=dog"):
        assert client.get(address, headers={"sec-fetch-site": "cross-site"}).status_code == 403
        assert client.get(address, headers={"sec-fetch-site": "same-origin"}).status_code == 200
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200  # a link to the page
    for origin, status in (("https://evil.example", 403), ("null", 403), ("http://localhost", 200)):
        answer = client.post("/api/hide", json={"items": [99]}, headers={"origin": origin})
        assert answer.status_code == status


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_pages_change_nothing(client: TestClient, site: str) -> None:
    answer = client.post("/api/hide", json={"items": [1]}, headers={"sec-fetch-site": site})
    assert answer.status_code == 403
    assert client.post("/api/hide", json={"items": [1]}, headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_with_a_token(start: Start) -> None:
    client = start(token=TOKEN, guesses=3)
    for address in ("/api/search?q=dog", "/thumbs/1", "/files/1", "/metrics", "/openapi.json", "/api/languages"):
        answer = client.get(address)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert client.get(address, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    for address in ("/", "/page.js", "/page.css", "/icon.svg", "/health"):  # what the page needs to ask for it
        assert client.get(address).status_code == 200


def test_whoever_guesses_tokens_waits(start: Start) -> None:
    client = start(token=TOKEN, guesses=3)
    wrong = {"authorization": "Bearer nonsense-nonsense"}
    assert [client.get("/api/languages", headers=wrong).status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    right = {"authorization": f"Bearer {TOKEN}"}
    blocked = client.get("/api/languages", headers=right)  # or the right one would be told from the wrong ones
    assert blocked.status_code == 429 and int(blocked.headers["retry-after"]) > 0
    other = start(token=TOKEN, guesses=3, client="10.0.0.2")
    assert other.get("/api/languages", headers=right).status_code == 200


def ask(guard: Guard, *, method: str = "POST", receive: Any = None) -> tuple[int, Any]:
    """Send one request as a server would."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def nothing() -> Any:
        await asyncio.sleep(60)

    scope = {"type": "http", "method": method, "path": "/api/search", "headers": [], "client": ("127.0.0.1", 1)}
    asyncio.run(guard(scope, receive or nothing, send))
    return sent[0]["status"], json.loads(sent[-1]["body"])


def test_a_client_that_sends_slowly_is_told_so() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it must not be reached")

    guard = Guard(app, ServerSettings(body_seconds=0.05), Access(None, 3))
    status, said = ask(guard)
    assert status == 408 and "too long" in said["error"] and guard.inside == 0


def test_too_many_at_once_are_told_to_come_again() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    guard = Guard(app, ServerSettings(waiting=2), Access(None, 3))
    assert ask(guard, method="GET")[0] == 200 and guard.inside == 0
    guard.inside = 2
    assert ask(guard, method="GET")[0] == 503
