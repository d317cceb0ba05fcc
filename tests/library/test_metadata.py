"""What files say of when, where and with what they were taken."""

from __future__ import annotations

import io
import os
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from glotclip.library.metadata import Metadata, date_in_name, of_image, of_video


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def with_exif(form: str = "JPEG", **values: object) -> Image.Image:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon\0", "Canon EOS R5"
    more = exif.get_ifd(0x8769)
    more.update({0x9003: "2021:07:04 18:30:15", 0x9011: "+02:00", 0xA434: "RF24-70mm"})
    gps = exif.get_ifd(0x8825)
    gps.update({1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 0.0)})
    gps.update(values.get("gps", {}))  # type: ignore[call-overload]
    more.update(values.get("more", {}))  # type: ignore[call-overload]
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, form, exif=exif)
    return Image.open(stream)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG", "AVIF"])
def test_exif_of_every_format(form: str) -> None:
    found = of_image(with_exif(form))
    assert (found.taken, found.tz, found.dated_by) == (seconds("2021-07-04 18:30:15"), 120, "exif")
    assert [found.lat, found.lon] == pytest.approx([-33.86, 151.2])
    assert (found.camera, found.lens) == ("Canon EOS R5", "RF24-70mm")


def test_nonsense_in_exif_is_left_out() -> None:
    found = of_image(with_exif(gps={1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}))
    assert (found.lat, found.lon) == (None, None)  # no reception
    found = of_image(with_exif(gps={2: (133.0, 0.0, 0.0)}))
    assert (found.lat, found.lon) == (None, None)
    found = of_image(with_exif(more={0x9003: "0000:00:00 00:00:00", 0x9004: "    :  :     :  :  "}))
    assert (found.taken, found.dated_by) == (None, None)
    assert of_image(Image.new("RGB", (2, 2))) == Metadata()


@given(st.binary(max_size=300))
def test_any_bytes_as_exif_are_survived(data: bytes) -> None:
    image = Image.new("RGB", (2, 2))
    image.info["exif"] = b"Exif\0\0" + data
    assert isinstance(of_image(image), Metadata)


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("IMG_20210704_183015.jpg", "2021-07-04 18:30:15"),
        ("2021-07-04 18.30.15.png", "2021-07-04 18:30:15"),
        ("IMG-20210704-WA0012.jpg", "2021-07-04 00:00:00"),
        ("Screenshot 2021-07-04 at 18.30.15.png", "2021-07-04 18:30:15"),
        ("signal-2021-07-04-183015.jpg", "2021-07-04 18:30:15"),
        ("PXL_20210230_120000000.jpg", None),
        ("DSC20219999.jpg", None),
        ("12345202107041.jpg", None),
        ("IMG_0001.jpg", None),
        ("90000101.jpg", None),
    ],
)
def test_dates_in_names(name: str, date: str | None) -> None:
    assert date_in_name(name) == (seconds(date) if date else None)


@given(st.text(max_size=60))
def test_any_name_is_read(name: str) -> None:
    assert date_in_name(name) is None or isinstance(date_in_name(name), int)


def test_the_file_dates_what_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    moment = int(datetime(2021, 7, 4, 12, tzinfo=UTC).timestamp()) * 10**9
    found = Metadata().dated("IMG_1.jpg", moment)
    assert (found.taken, found.tz, found.dated_by) == (seconds("2021-07-04 21:00:00"), 540, "file")
    assert Metadata().dated("IMG_20200101.jpg", moment).dated_by == "name"
    assert Metadata(taken=5, dated_by="exif").dated("IMG_20200101.jpg", moment).taken == 5
    assert Metadata().dated("a.jpg", 10**30).taken is None
    os.environ.pop("TZ")
    time.tzset()


def test_what_containers_of_videos_say() -> None:
    apple = {
        "com.apple.quicktime.creationdate": "2021-07-04T18:30:15+0200",
        "com.apple.quicktime.location.ISO6709": "+48.2082+016.3738+171.0/",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 12",
        "creation_time": "2021-07-04T16:30:15.000000Z",
    }
    found = of_video(apple)
    assert (found.taken, found.tz) == (seconds("2021-07-04 18:30:15"), 120)
    assert (found.lat, found.lon, found.camera) == (48.2082, 16.3738, "Apple iPhone 12")
    assert of_video({"creation_time": "1904-01-01T00:00:00.000000Z", "location": "+00.0000+000.0000/"}) == Metadata()
    assert of_video({"creation_time": "soon", "location": "Vienna"}) == Metadata()
