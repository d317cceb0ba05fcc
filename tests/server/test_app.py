from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import Start

from glotclip.errors import ConfigError
from glotclip.library.library import Library
from glotclip.server.access import COOKIE
from glotclip.server.app import PAGE, create_app
from glotclip.server.settings import ServerSettings

TOKEN = "0123456789abcdef"


def test_the_page_asks_nobody_else(client: TestClient) -> None:
    page = client.get("/").text
    assert "<title>glotclip</title>" in page
    for name in ("index.html", "page.js", "page.css"):
        content = (PAGE / name).read_text(encoding="utf-8")
        assert "http://" not in content and "https://" not in content and "innerHTML" not in content
    for address in ("/page.js", "/page.css", "/icon.svg"):
        assert client.get(address).status_code == 200


def test_health(client: TestClient) -> None:
    found = client.get("/health").json()
    assert (found["status"], found["items"]) == ("ok", 40)


def test_logging_in(start: Start) -> None:
    client = start(token=TOKEN, guesses=3)
    assert client.post("/api/login", data={"token": "wrong"}).status_code == 401
    answer = client.post("/api/login", data={"token": TOKEN})
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 204 and "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
    assert client.cookies[COOKIE] and client.get("/thumbs/1").status_code == 200
    client.cookies.clear()
    assert [client.post("/api/login", data={"token": "x"}).status_code for _ in range(4)] == [401, 401, 429, 429]


def test_wrong_methods_are_told_the_right_ones(client: TestClient) -> None:
    answer = client.put("/api/search")
    assert answer.status_code == 405 and answer.headers["allow"] == "GET, POST"
    assert client.get("/v1/embeddings").headers["allow"] == "POST"


def test_settings_are_checked(library: Library) -> None:
    with pytest.raises(ConfigError):
        create_app(library, ServerSettings(host="0.0.0.0"))


def test_the_description_names_every_route(client: TestClient) -> None:
    routes = client.get("/openapi.json").json()["paths"]
    named = {
        "/api/search", "/api/search/image", "/api/items/{number}", "/api/items/{number}/similar", "/thumbs/{number}",
        "/api/duplicates", "/api/export", "/api/languages", "/health", "/metrics", "/v1/embeddings",
    }  # fmt: skip
    assert named <= set(routes)
    described = routes["/api/search"]["get"]["parameters"]
    assert next(each for each in described if each["name"] == "q")["schema"]["pattern"]
