from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

from fastapi.testclient import TestClient
from PIL import Image
from tests.server.conftest import Start

from glotclip.library.library import Library


def test_small_pictures_and_whether_they_changed(client: TestClient) -> None:
    answer = client.get("/thumbs/1?size=320")
    assert answer.headers["content-type"] == "image/webp" and "no-cache" in answer.headers["cache-control"]
    again = client.get("/thumbs/1?size=320", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content
    client.post("/api/hide", json={"items": [1]})
    assert client.get("/thumbs/1?size=320", headers={"if-none-match": answer.headers["etag"]}).status_code == 404
    assert client.get("/thumbs/2?size=321").status_code == 422
    assert client.get("/thumbs/2?t=-1").status_code == client.get("/thumbs/2?t=nan").status_code == 422


def test_files_whole_and_in_parts(client: TestClient, library: Library) -> None:
    path = library.items([1])[1].paths[0]
    answer = client.get("/files/1")
    assert answer.content == path.read_bytes() and answer.headers["content-type"] == "image/png"
    part = client.get("/files/1", headers={"range": "bytes=4-9"})
    assert part.status_code == 206 and part.content == path.read_bytes()[4:10]
    assert path.name in answer.headers["content-disposition"]


def test_lists_and_archives(client: TestClient, library: Library) -> None:
    paths = [str(library.items([number])[number].paths[0]) for number in (5, 2)]
    asked = {"items": [5, 2, 5, 999]}
    listed = client.post("/api/export", json={**asked, "form": "paths"})
    assert listed.text.splitlines() == paths and listed.headers["x-left-out"] == "1"
    table = client.post("/api/export", json={**asked, "form": "csv"}).content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["path"] for row in rows] == paths and rows[0]["width"] == "48"
    archive = client.post("/api/export", json={**asked, "form": "zip"})
    with zipfile.ZipFile(io.BytesIO(archive.content)) as packed:
        assert packed.testzip() is None
        assert [packed.read(name) for name in packed.namelist()] == [Path(path).read_bytes() for path in paths]
    assert client.post("/api/export", json={"items": [], "form": "csv"}).status_code == 422


def test_archives_have_a_limit(start: Start) -> None:
    client = start(zip_bytes=100)
    answer = client.post("/api/export", json={"items": [1, 2], "form": "zip"})
    assert answer.status_code == 413 and "take fewer" in answer.json()["error"]


def test_names_that_a_spreadsheet_would_compute(library: Library, start: Start, photos: Path) -> None:
    Image.new("RGB", (30, 30), "blue").save(photos / "=1+1.png")
    library.index(encoder=library.encoder(library.model()))
    client = start()
    number = max(range(1, 45), key=lambda n: n if n in library.items([n]) else 0)
    table = client.post("/api/export", json={"items": [number], "form": "csv"}).content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(table))
    assert row["path"].endswith("=1+1.png") and not row["path"].startswith("=")
