"""Which items of a library may answer: by folder, date, place, camera and kind."""

from __future__ import annotations

import json
import math
import os
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from glotclip.errors import ConfigError, did_you_mean
from glotclip.library.catalogue import Catalogue
from glotclip.library.decoding import IMAGE, VIDEO
from glotclip.library.records import SHOWN, Numbers

_EARTH = 6371.0088  # kilometres, the mean radius
_DEGREE = 111.2  # kilometres of a degree of latitude, a little more than any has
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Filters:
    """What an item must be; what is None does not matter.

    Attributes:
        folder: a file of it lies in this folder or below it.
        after: taken on this day or later: a date, or a text such as 2021, 2021-07 or 2021-07-04.
        before: taken on this day or earlier; of a year or month its last day.
        near: taken at most so far from a place: degrees north, degrees east, kilometres.
        camera: a part of the camera's name, in whatever case.
        kind: image or video.
    """

    folder: str | Path | None = None
    after: str | date | None = None
    before: str | date | None = None
    near: tuple[float, float, float] | None = None
    camera: str | None = None
    kind: str | None = None

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return any(value not in (None, "") for value in (
            self.folder, self.after, self.before, self.near, self.camera, self.kind,
        ))  # fmt: skip


def items_among(catalogue: Catalogue, filters: Filters) -> Numbers:
    """The numbers of the items that pass, ascending. What is hidden never does.

    Raises:
        ConfigError: if a filter makes no sense.
    """
    conditions, values = [f"state = {SHOWN}"], []
    for condition, given in _conditions(catalogue, filters):
        conditions.append(condition)
        values += given
    found = catalogue.rows(f"SELECT id, lat, lon FROM item WHERE {' AND '.join(conditions)} ORDER BY id", values)
    if filters.near is not None:
        lat, lon, reach = filters.near
        found = [row for row in found if distance(lat, lon, row[1], row[2]) <= reach]
    return np.asarray([row[0] for row in found], np.int64)


def _conditions(catalogue: Catalogue, filters: Filters) -> list[tuple[str, list[Any]]]:
    found: list[tuple[str, list[Any]]] = []
    if filters.folder not in (None, ""):
        found.append(_in_folder(catalogue, Path(filters.folder or "")))
    first, last = _day(filters.after, last=False), _day(filters.before, last=True)
    if first and last and first > last:
        raise ConfigError(f"nothing is taken after {first} and before {last}", hint="exchange --after and --before")
    if first:
        found.append(("taken >= ?", [_seconds(first)]))
    if last:
        found.append(("taken < ?", [_seconds(last) + 86_400]))
    if filters.kind not in (None, ""):
        if filters.kind not in (IMAGE, VIDEO):
            hint = f"{did_you_mean(str(filters.kind), (IMAGE, VIDEO))}use {IMAGE} or {VIDEO}"
            raise ConfigError(f"unknown kind {filters.kind!r}", hint=hint)
        found.append(("kind = ?", [filters.kind]))
    if filters.camera not in (None, ""):
        found.append(("instr(lower(camera), lower(?)) > 0", [filters.camera]))
    if filters.near is not None:
        lat, lon, reach = filters.near
        if not (abs(lat) <= 90 and abs(lon) <= 180 and 0 <= reach < math.inf):
            raise ConfigError(
                f"there is no place {lat}, {lon} with {reach} km around it",
                hint="give degrees north, degrees east and kilometres, e.g. --near 48.2,16.37,5",
            )
        found.append(("lat BETWEEN ? AND ?", [lat - reach / _DEGREE, lat + reach / _DEGREE]))
    return found


def _in_folder(catalogue: Catalogue, folder: Path) -> tuple[str, list[Any]]:
    try:
        key = os.fsencode(folder.expanduser().resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{str(folder)!r} is no folder's name", hint="check the path") from error
    inside = key.rstrip(b"/") + b"/"
    numbers = [
        number
        for number, path in catalogue.rows("SELECT id, path FROM folder")
        if path == key or path.startswith(inside)
    ]
    ids = "SELECT value FROM json_each(?)"
    condition = f"EXISTS (SELECT 1 FROM file WHERE file.item = item.id AND motion = 0 AND folder IN ({ids}))"
    return condition, [json.dumps(numbers)]


def _day(value: str | date | None, *, last: bool) -> date | None:
    if value is None or value == "":
        return None
    if isinstance(value, date):
        return value.date() if isinstance(value, datetime) else value
    parts = value.strip().split("-")
    try:
        year, month, day = (int(part) for part in [*parts, *["0"] * (3 - len(parts))])
        if len(parts) == 3:
            return date(year, month, day)
        month = month if len(parts) == 2 else 12 if last else 1
        return date(year, month, monthrange(year, month)[1] if last else 1)
    except (ValueError, IndexError) as error:
        raise ConfigError(f"{value!r} is no date", hint="write 2021, 2021-07 or 2021-07-04") from error


def _seconds(day: date) -> int:
    return int((datetime(day.year, day.month, day.day) - _EPOCH) / timedelta(seconds=1))


def distance(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Kilometres between two places on a globe (haversine)."""
    one, other = math.radians(lat), math.radians(other_lat)
    half = math.sin((other - one) / 2) ** 2
    half += math.cos(one) * math.cos(other) * math.sin(math.radians(other_lon - lon) / 2) ** 2
    return 2 * _EARTH * math.asin(min(1.0, math.sqrt(half)))
