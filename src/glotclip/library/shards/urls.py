"""Tables of addresses in parquet, as img2dataset reads them: a column ``url``, and others that are not used.

Pictures are fetched by ``http`` and ``https`` alone, several at once, each with a limit of time and of size. What was
fetched once is not fetched again; what could not be had is named with its reason, and tried again the next time.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from glotclip import image_formats
from glotclip.data.schema import SkippedItem
from glotclip.errors import DataError, require
from glotclip.library.shards.reading import Reading
from glotclip.storage import disk_errors, shown, writing

SUFFIXES = (".parquet",)
COLUMNS = ("url", "URL", "image_url")
SECONDS, SECONDS_IN_ALL, REDIRECTS = 15.0, 60.0, 5  # to connect, and for each part of an answer; for all of it
MOST_BYTES = 50_000_000
_AT_ONCE, _ROWS, _CHUNK = 16, 1024, 1 << 16


def bring(table: Path, folder: Path) -> Reading:
    """Fetch the pictures of a table that are not there yet.

    Raises:
        DataError: if the table cannot be read, or has no column of addresses.
        MissingExtraError: if pyarrow or urllib3 is not installed.
    """
    http: Any = require("urllib3", extra="parquet", purpose="fetching pictures")
    retries = http.Retry(total=None, connect=1, read=1, redirect=REDIRECTS, status=0, other=0, backoff_factor=0.2)
    pool = http.PoolManager(maxsize=_AT_ONCE, retries=retries, timeout=http.Timeout(SECONDS))
    found = Reading()
    before = {path.stem: path.relative_to(folder) for path in folder.glob("*/*")}
    with ThreadPoolExecutor(_AT_ONCE) as threads, pool:
        addresses = iter(dict.fromkeys(_addresses(table)))
        while part := list(islice(addresses, _ROWS)):
            known = [before.get(_name(url)) for url in part]
            for path in known:
                if path is not None:
                    found.add(path)
            lacking = [url for url, path in zip(part, known, strict=True) if path is None]
            for url, had in zip(lacking, threads.map(lambda url: _fetched(pool, url, folder), lacking), strict=True):
                if isinstance(had, Path):
                    found.add(had)
                    found.new += 1
                else:
                    found.skipped.append(SkippedItem(url, None, had))
    found.whole = not found.skipped
    return found


def _addresses(table: Path) -> Iterator[str]:
    parquet: Any = require("pyarrow.parquet", extra="parquet", purpose="reading parquet")
    try:
        with parquet.ParquetFile(table) as file:
            names = file.schema_arrow.names
            column = next((name for name in COLUMNS if name in names), None)
            if column is None:
                raise DataError(
                    f"{shown(table)} has no column of addresses; it has {', '.join(names) or 'none'}",
                    hint=f"name the column {COLUMNS[0]!r}",
                )
            for batch in file.iter_batches(batch_size=_ROWS, columns=[column]):
                yield from (each for each in batch.column(0).to_pylist() if isinstance(each, str) and each)
    except (OSError, ValueError) as error:  # pyarrow's errors are kinds of these
        raise DataError(f"{shown(table)} is no parquet that can be read ({error})", hint="write it anew") from error


def _name(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _fetched(pool: Any, url: str, folder: Path) -> Path | str:
    """Fetch a picture: its path in the folder, or why it is not there."""
    import urllib3.exceptions

    if not url.lower().startswith(("http://", "https://")):
        return "not an address of http or https"
    try:
        answer = pool.request("GET", url, preload_content=False)
        try:
            body, fault = _content(answer)
        finally:
            answer.release_conn()
    except (urllib3.exceptions.HTTPError, UnicodeError, ValueError) as error:
        return f"not fetched ({_said(error)})"
    if fault or not (suffix := _suffix(body)):
        return fault or "no picture"
    path = Path(_name(url)[:2], f"{_name(url)}{suffix}")
    with disk_errors(folder, "--library"), writing(folder / path) as aside:
        aside.write_bytes(body)
    return path


def _content(answer: Any) -> tuple[bytes, str]:
    """An answer's content, or why it is not taken."""
    if answer.status != 200:
        answer.drain_conn()
        return b"", f"the server says {answer.status} {answer.reason or ''}".strip()
    body, began = bytearray(), time.monotonic()
    for chunk in answer.stream(_CHUNK):
        body += chunk
        late = time.monotonic() - began > SECONDS_IN_ALL
        if late or len(body) > MOST_BYTES:
            answer.close()
            return b"", f"not there after {SECONDS_IN_ALL:g} s" if late else f"more than {MOST_BYTES:,} bytes"
    return bytes(body), ""


def _suffix(body: bytes) -> str:
    """The usual suffix of a picture's format; empty for what is none."""
    from PIL import Image

    if image_formats.is_heif(body[: image_formats.HEAD]):
        return ".heic"
    try:
        with Image.open(io.BytesIO(body), formats=image_formats.decodable()) as image:
            form = image.format or ""
    except Exception:  # noqa: BLE001 -- whatever a decoder says of it, it is none that could be shown
        return ""
    suffixes = sorted(suffix for suffix, each in Image.registered_extensions().items() if each == form)
    return ".jpg" if form in ("JPEG", "MPO") else suffixes[0] if suffixes else ""


def _said(error: Exception) -> str:
    """The last part of an error, which says what was wrong."""
    reason = getattr(error, "reason", None)
    return str(reason or error).rsplit(": ", 1)[-1][:120] or type(error).__name__
