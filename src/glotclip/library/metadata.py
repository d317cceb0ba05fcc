"""When, where and with what a picture or video was taken, as its file says."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image

_MAKE, _MODEL, _CHANGED = 0x010F, 0x0110, 0x0132
_EXIF, _GPS = 0x8769, 0x8825
_TAKEN, _DIGITISED, _OFFSET, _OFFSET_TAKEN, _LENS = 0x9003, 0x9004, 0x9010, 0x9011, 0xA434
_EARLIEST = datetime(1826, 1, 1)  # the first photograph
_ISO6709 = re.compile(r"([+-]\d{2}(?:\.\d+)?)([+-]\d{3}(?:\.\d+)?)")
_IN_NAME = re.compile(
    r"(?<!\d)(19[5-9]\d|20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
    r"(?:[-_. T]?(?:at )?([01]\d|2[0-3])[-_.:h]?([0-5]\d)[-_.:m]?([0-5]\d))?(?!\d)"
)
_LONGEST = 120  # characters of a camera's name
_EPOCH = datetime(1970, 1, 1)
EXIF = "exif"  # a date is the file's own record


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of an item besides its content.

    Attributes:
        taken: the clock's time where it was taken, as seconds since 1970 as if that clock showed UTC.
        tz: minutes that this clock is ahead of UTC.
        dated_by: where ``taken`` comes from: exif (the file's own record), name, file (its modification time).
        lat: degrees north.
        lon: degrees east.
        camera: make and model.
        lens: as the camera names it.
    """

    taken: int | None = None
    tz: int | None = None
    dated_by: str | None = None
    lat: float | None = None
    lon: float | None = None
    camera: str | None = None
    lens: str | None = None

    def dated(self, name: str, mtime_ns: int) -> Metadata:
        """Add a date from the file's name, or else its modification time, where the file itself has none."""
        if self.taken is not None:
            return self
        if (named := date_in_name(name)) is not None:
            return replace(self, taken=named, dated_by="name")
        try:
            local = datetime.fromtimestamp(mtime_ns // 1_000_000_000).astimezone()
        except (OverflowError, ValueError, OSError):  # a year that no calendar has
            return self
        return replace(self, taken=_seconds(local.replace(tzinfo=None)), tz=_minutes(local), dated_by="file")


def of_image(image: Image.Image) -> Metadata:
    """Read the EXIF data of an opened picture; what cannot be read of it is left out."""
    try:
        exif = image.getexif()
        base, more, gps = dict(exif), dict(exif.get_ifd(_EXIF)), dict(exif.get_ifd(_GPS))
    except Exception:  # noqa: BLE001 -- Pillow's parser raises whatever a damaged block leads it to; the picture counts
        return Metadata()
    taken, tz = None, None
    for tag, source, offset in (
        (_TAKEN, more, _OFFSET_TAKEN), (_DIGITISED, more, _OFFSET_TAKEN), (_CHANGED, base, _OFFSET),
    ):  # fmt: skip
        taken = _exif_date(source.get(tag))
        if taken is not None:
            tz = _offset(more.get(offset))
            break
    lat = _degrees(gps.get(2), gps.get(1), "S", 90)
    lon = _degrees(gps.get(4), gps.get(3), "W", 180)
    if lat is None or lon is None or (lat == 0 and lon == 0):  # zeros are written where there was no reception
        lat = lon = None
    return Metadata(
        taken, tz, EXIF if taken is not None else None, lat, lon,
        _camera(base.get(_MAKE), base.get(_MODEL)), _word(more.get(_LENS)),
    )  # fmt: skip


def of_video(tags: Mapping[str, str]) -> Metadata:
    """Read what a video's container says."""
    lower = {key.lower(): value for key, value in tags.items()}
    lat = lon = None
    place = next((lower[key] for key in lower if "location" in key and _ISO6709.match(lower[key])), None)
    if place and (found := _ISO6709.match(place)):
        lat, lon = float(found[1]), float(found[2])
        if not (abs(lat) <= 90 and abs(lon) <= 180) or (lat == 0 and lon == 0):
            lat = lon = None
    taken, tz = None, None
    for key in ("com.apple.quicktime.creationdate", "creation_time", "date"):
        try:
            moment = datetime.fromisoformat(lower.get(key, ""))
        except ValueError:
            continue
        if moment.replace(tzinfo=None) < datetime(1971, 1, 1):  # cameras without a clock write 1904 or 1970
            continue
        if key == "creation_time":  # in UTC; people know the time by their own clock
            moment = moment.astimezone()
        tz = None if moment.tzinfo is None else _minutes(moment)
        taken = _seconds(moment.replace(tzinfo=None))
        break
    make = next((lower[key] for key in ("com.apple.quicktime.make", "make") if key in lower), None)
    model = next((lower[key] for key in ("com.apple.quicktime.model", "model") if key in lower), None)
    return Metadata(taken, tz, EXIF if taken is not None else None, lat, lon, _camera(make, model))


def date_in_name(name: str) -> int | None:
    """Read a date, and a time of day if there is one, from a file's name such as ``IMG_20210704_183015.jpg``."""
    for found in _IN_NAME.finditer(name):
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        try:
            moment = datetime(year, month, day, hour, minute, second)
        except ValueError:
            continue
        if moment < datetime.now() + timedelta(days=1):
            return _seconds(moment)
    return None


def _exif_date(value: Any) -> int | None:
    digits = re.match(r"(\d{4}).(\d\d).(\d\d).(\d\d).(\d\d).(\d\d)", str(value or "").strip())
    try:
        moment = datetime.strptime(" ".join(digits.groups()), "%Y %m %d %H %M %S") if digits else None
    except ValueError:
        return None
    return None if moment is None or moment < _EARLIEST else _seconds(moment)


def _offset(value: Any) -> int | None:
    found = re.match(r"([+-])(\d\d):?(\d\d)", str(value or "").strip())
    return None if not found else (1 if found[1] == "+" else -1) * (60 * int(found[2]) + int(found[3]))


def _degrees(value: Any, side: Any, negative: str, most: float) -> float | None:
    try:
        parts: list[float] = [float(part) for part in value]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    degrees = float(sum(part / 60**place for place, part in enumerate(parts[:3])))
    if not parts or not math.isfinite(degrees) or abs(degrees) > most:
        return None
    return -degrees if _word(side) == negative else degrees


def _camera(make: Any, model: Any) -> str | None:
    brand, name = _word(make), _word(model)
    if brand and name and not name.lower().startswith(brand.split()[0].lower()):
        return f"{brand} {name}"[:_LONGEST]
    return name or brand


def _word(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    clean = " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())
    return clean[:_LONGEST] or None


def _seconds(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds())


def _minutes(moment: datetime) -> int:
    offset = moment.utcoffset() or UTC.utcoffset(None)
    return int(offset.total_seconds() // 60)
