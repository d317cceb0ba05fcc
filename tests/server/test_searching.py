"""Searches through HTTP give what the library gives, and hostile ones get an answer."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.library.conftest import picture
from tests.server.conftest import Start

from glotclip.library.library import Library


def test_the_same_hits_as_the_library(client: TestClient, library: Library) -> None:
    expected = library.search("a red dog", lang="en", limit=60, min_probability=0).record()
    address = "/api/search?q=a+red+dog&lang=en&min_probability=0"
    assert client.get(address).json() == expected
    assert (
        client.post("/api/search", json={"texts": ["a red dog"], "lang": "en", "min_probability": 0}).json()
        == expected
    )
    pages = [client.get(f"{address}&limit=7&offset={offset}").json()["hits"] for offset in range(0, 60, 7)]
    assert [hit for page in pages for hit in page] == expected["hits"]


def test_filters(client: TestClient, photos: Path) -> None:
    found = client.get(
        "/api/search", params={"q": "dog", "folder": str(photos / "trip"), "min_probability": 0}
    ).json()
    assert found["searched"] == 10
    assert all(Path(hit["path"]).parent.name == "trip" for hit in found["hits"])


def test_several_texts_and_items(client: TestClient, library: Library) -> None:
    asked = {
        "texts": [{"text": "dog", "weight": 2}, {"text": "cat", "weight": -1}, "tree"],
        "like": [3],
        "unlike": [4],
    }
    found = client.post("/api/search", json={**asked, "lang": "en", "min_probability": 0}).json()
    expected = library.search(
        [("dog", 2.0), ("cat", -1.0), ("tree", 1.0)], like=[3], unlike=[4], lang="en", min_probability=0, limit=60
    )
    assert found == expected.record()
    assert not {3, 4} & {hit["item"] for hit in found["hits"]}


def test_a_picture_finds_itself(client: TestClient, photos: Path, library: Library) -> None:
    content = (photos / "12.png").read_bytes()
    found = client.post("/api/search/image", files={"image": ("any name.exe", content)}, data={"min_probability": 0})
    found = found.json()
    assert Path(found["hits"][0]["path"]).name == "12.png"
    number = found["hits"][0]["item"]
    similar = client.get(f"/api/items/{number}/similar?min_probability=0").json()
    assert similar == library.search(like=number, min_probability=0, limit=60).record()


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"GIF89a"])
def test_what_is_no_picture(client: TestClient, content: bytes) -> None:
    answer = client.post("/api/search/image", files={"image": ("x.png", content)})
    assert answer.status_code == 422 and answer.json()["error"]


def test_a_decompression_bomb(client: TestClient) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 10**6))
        + chunk(b"IEND", b"")
    )
    answer = client.post("/api/search/image", files={"image": ("x.png", bomb)})
    assert answer.status_code == 422 and "pixels" in answer.json()["error"]


def test_items(client: TestClient, library: Library) -> None:
    found = client.get("/api/items/1").json()
    item = library.items([1])[1]
    assert (found["item"], found["paths"], found["width"], found["kind"]) == (1, [str(item.paths[0])], 48, "image")
    for address in ("/api/items/999", "/api/items/0", "/api/items/x", "/api/items/1e3", f"/api/items/{10**30}"):
        assert client.get(address).status_code in (404, 422)
    assert client.post("/api/search", json={"like": [999]}).status_code == 404


def test_what_is_hidden_appears_nowhere(client: TestClient) -> None:
    assert client.post("/api/hide", json={"items": [3, 4, 999]}).json() == {"changed": 2}
    found = client.get("/api/search?q=dog&min_probability=0&limit=500&fold=false").json()
    assert found["searched"] == 38 and not {3, 4} & {hit["item"] for hit in found["hits"]}
    for address in ("/api/items/3", "/api/items/3/similar", "/thumbs/3", "/files/3"):
        assert client.get(address).status_code == 404
    assert client.post("/api/export", json={"items": [3], "form": "paths"}).status_code == 404
    assert client.get("/api/facets").json()["items"] == 38
    assert client.post("/api/hide", json={"items": [3, 4], "hidden": False}).json() == {"changed": 2}
    assert client.get("/thumbs/3").status_code == 200


def test_a_server_that_changes_nothing(start: Start) -> None:
    client = start(changes=False)
    assert client.post("/api/hide", json={"items": [3]}).status_code == 403
    assert client.get("/thumbs/3").status_code == 200


def test_what_the_library_is_made_of(client: TestClient, photos: Path) -> None:
    found = client.get("/api/facets").json()
    assert found["folders"] == {str(photos): 30, str(photos / "trip"): 10} and found["kinds"] == {"image": 40}
    assert (
        client.get("/api/languages").json() == {"model": "tiny", "languages": ["en"]}
        or "en" in client.get("/api/languages").json()["languages"]
    )
    assert client.get("/api/duplicates").json() == {"groups": []}


def test_nobody_opens_another_model_through_it(client: TestClient, library: Library, tmp_path: Path) -> None:
    for name in (str(tmp_path), "emoji-clip", "openai/clip-vit-base-patch32", "0" * 1000, "../secret"):
        asked = client.get("/api/search", params={"q": "dog", "model": name, "lang": "en"})
        embedded = client.post("/v1/embeddings", json={"input": "dog", "model": name})
        for answer in (asked, embedded):
            assert answer.status_code == 422 and "no vectors of the model" in answer.json()["error"]
    name = library.models[0].name
    assert client.get("/api/search", params={"q": "dog", "model": name, "lang": "en"}).status_code == 200


def test_file_names_that_are_no_utf8(start: Start, library: Library, photos: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    picture(photos / name, 77, size=(48, 24))
    library.index(encoder=library.encoder(library.model()))
    client = start()
    found = client.get("/api/search?q=dog&min_probability=0&limit=500").json()["hits"]
    number = next(hit["item"] for hit in found if "caf\\xe9.png" in hit["path"])
    assert client.get(f"/api/items/{number}").json()["paths"] == [str(photos / "caf\\xe9.png")]
    for address in (f"/thumbs/{number}", f"/files/{number}", "/api/facets", f"/api/items/{number}/similar"):
        assert client.get(address).status_code == 200
    for form in ("paths", "csv", "zip"):
        assert client.post("/api/export", json={"items": [number], "form": form}).status_code == 200


def test_wrong_questions(client: TestClient) -> None:
    for address in ("/api/search", "/api/search?q=", "/api/search?q=%20%20", "/api/search?q=dog&lang=xx",
                    "/api/search?q=dog&near=here", "/api/search?q=dog&after=2021-13", "/api/search?q=-dog",
                    "/api/search?q=dog&model=nothing", "/api/search?q=dog&colour=red"):  # fmt: skip
        answer = client.get(address)
        assert answer.status_code == 422 and answer.json()["error"], address
    assert client.post("/api/search", json={"texts": ["a"] * 33}).status_code == 422
    assert client.post("/api/search", json={}).status_code == 422
    assert client.post("/api/search", content=b"{", headers={"content-type": "application/json"}).status_code == 422


PIECES = st.sampled_from(
    ["..", "/", "%2e%2e", "%2f", "\\", "secret.png", "1", "-1", "~", "etc/passwd", "%00", "ü", "*"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["/files/", "/thumbs/", "/api/items/", "/", "/page.js/"]), st.lists(PIECES, max_size=6))
def test_hostile_addresses_give_nothing_of_the_disk(client: TestClient, start_of: str, pieces: list[str]) -> None:
    name = "".join(pieces)
    for address in (start_of + name, start_of + quote(name, safe="")):
        answer = client.get(address)
        assert answer.status_code < 500
        kind = answer.headers.get("content-type", "")
        if answer.status_code == 200 and kind.startswith("image/") and start_of in ("/files/", "/thumbs/"):
            assert answer.content == client.get(f"{start_of}1").content  # a slash or so beside the number


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40), st.text(max_size=8), st.text(max_size=12))
def test_any_query_has_an_answer(client: TestClient, query: str, lang: str, near: str) -> None:
    text = query.encode(errors="replace").decode()
    found = client.get("/api/search", params={"q": text})
    assert found.status_code in (200, 422)
    narrowed = {
        "texts": [text],
        "lang": lang.encode(errors="replace").decode(),
        "near": near.encode(errors="replace").decode(),
    }
    assert client.post("/api/search", json=narrowed).status_code in (200, 422)


def test_pictures_are_read_no_larger_than_needed(client: TestClient) -> None:
    out = io.BytesIO()
    Image.new("RGB", (5000, 4000), "red").save(out, "JPEG")
    assert client.post("/api/search/image", files={"image": ("x.jpg", out.getvalue())}).status_code == 200
