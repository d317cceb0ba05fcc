"""The routes of what the library's files are: small pictures, the files themselves, lists and archives of them."""

from __future__ import annotations

import csv
import io
import mimetypes
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import HTTPException
from fastapi.responses import FileResponse, StreamingResponse

from glotclip.server import schemas
from glotclip.server.media import NotThereError
from glotclip.server.searching import PROBLEMS, Number, about, media_of, settings_of

router = APIRouter(tags=["files"])
_IN_MEMORY = 16 * 2**20  # bytes of an archive before it goes to a temporary file
_CHUNK = 2**16
_COLUMNS = ("item", "kind", "path", "taken", "lat", "lon", "camera", "width", "height", "duration")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a cell begins that a spreadsheet computes


@router.get("/thumbs/{number}", responses=PROBLEMS, response_class=Response)
def thumb(
    request: Request,
    number: Number,
    size: Annotated[Literal["320", "1280"], Query(description="longer side in pixels")] = "320",
    t: Annotated[float | None, Query(ge=0, le=1e6, description="second of a video")] = None,
) -> Response:
    """A small picture of an item, as WebP."""
    picture, tag = media_of(request).picture(number, int(size), t)
    headers = {"etag": tag, "cache-control": "private, no-cache"}  # asked for again, since it may be hidden by then
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(picture, media_type="image/webp", headers=headers)


@router.get("/files/{number}", responses=PROBLEMS, response_class=FileResponse)
def file(request: Request, number: Number) -> FileResponse:
    """An item's file as it is; parts of it, where a video is played from its second on."""
    _, path = media_of(request).file(number)
    kind = mimetypes.guess_type(path.name)[0] or ""
    safe = kind.split("/")[0] in ("image", "video") and kind != "image/svg+xml"
    return FileResponse(
        path, media_type=kind if safe else "application/octet-stream",
        headers={
            "content-disposition": f"{'inline' if safe else 'attachment'}; filename*=UTF-8''{_quoted(path.name)}",
            "cache-control": "private, no-cache",
        },
    )  # fmt: skip


@router.post("/api/export", responses=PROBLEMS, response_class=Response)
def export(request: Request, asked: schemas.Exported) -> Response:
    """The files of some items: their paths, a table, or a ZIP archive."""
    media = media_of(request)
    found = []
    for number in dict.fromkeys(asked.items):
        try:
            found.append(media.file(number) if asked.form == "zip" else (media.item(number), None))
        except NotThereError:  # it was hidden or moved since the page was shown; what is there is given
            continue
    if not found:
        raise NotThereError("the library shows none of these items")
    left = {"x-left-out": str(len(set(asked.items)) - len(found))}
    if asked.form == "zip":
        total = sum(path.stat().st_size for _, path in found if path)
        if total > settings_of(request).zip_bytes:
            raise HTTPException(413, f"these files have {total / 2**30:.1f} GB together; take fewer, or their paths")
        names = [(str(item.id), path) for item, path in found if path]
        return StreamingResponse(_archive(names), media_type="application/zip",
                                 headers={**left, **_attached("pictures.zip")})  # fmt: skip
    if asked.form == "csv":
        return Response(_table([about(item) for item, _ in found]), media_type="text/csv; charset=utf-8",
                        headers={**left, **_attached("pictures.csv")})  # fmt: skip
    lines = "".join(f"{path}\n" for item, _ in found for path in map(str, item.paths))
    content = lines.encode(errors="surrogateescape")
    return Response(content, media_type="text/plain; charset=utf-8", headers={**left, **_attached("paths.txt")})


def _table(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        row["path"] = row["paths"][0]
        writer.writerow([_cell(row[name]) for name in _COLUMNS])
    return out.getvalue().encode("utf-8-sig", errors="replace")


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _archive(files: list[tuple[str, Any]]) -> Iterator[bytes]:
    """A ZIP archive, put together in a temporary file; pictures and videos are packed already."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as out:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            for number, path in files:
                archive.write(path, f"{number}-{path.name}".encode(errors="replace").decode())
        out.seek(0)
        while part := out.read(_CHUNK):
            yield part


def _attached(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}


def _quoted(name: str) -> str:
    return quote(name.encode(errors="surrogateescape"), safe="")
