"""Filters keep what they say, and nonsense is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import ConfigError
from glotclip.library.catalogue import Catalogue
from glotclip.library.filters import Filters, distance, items_among

ITEMS = [  # number, kind, taken, place, camera, folder, state
    (1, "image", "2021-01-01 00:00:00", (48.2, 16.37), "Canon EOS R5", "/p", 0),
    (2, "image", "2021-12-31 23:59:59", (48.25, 16.4), "FUJIFILM X-T4", "/p/trip", 0),
    (3, "video", "2022-07-04 12:00:00", (-33.86, 151.2), None, "/p/trip/deep", 0),
    (4, "image", None, None, None, "/pq", 0),
    (5, "image", "2021-06-01 12:00:00", (48.2, 16.37), "Canon EOS R5", "/p", 1),
    (6, "image", "1969-07-20 20:17:00", (0.0, 179.99), "Hasselblad", "/p_trip", 0),
]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    made = Catalogue(tmp_path_factory.mktemp("catalogue") / "c.sqlite", create=True)
    with made.changing() as db:
        db.execute("INSERT INTO root VALUES (1, ?, '1', '[]')", (b"/",))
        for number, kind, taken, place, camera, folder, state in ITEMS:
            lat, lon = place or (None, None)
            seconds = taken and int(datetime.fromisoformat(taken).replace(tzinfo=UTC).timestamp())
            db.execute(
                "INSERT INTO item (id, digest, kind, state, taken, lat, lon, camera) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (number, bytes([number]), kind, state, seconds, lat, lon, camera),
            )
            db.execute("INSERT OR IGNORE INTO folder (root, path) VALUES (1, ?)", (folder.encode(),))
            (where,) = db.execute("SELECT id FROM folder WHERE path = ?", (folder.encode(),)).fetchone()
            db.execute(
                "INSERT INTO file VALUES (?, ?, ?, ?, 1, 1, 1, '1', '1', 1, 0)",
                (number, number, where, bytes([64 + number])),
            )
    return made


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [1, 2, 3, 4, 6]),
        ({"kind": "video"}, [3]),
        ({"after": "2021"}, [1, 2, 3]),
        ({"after": "2021", "before": "2021"}, [1, 2]),
        ({"before": "2021-01-01"}, [1, 6]),
        ({"after": "2021-12"}, [2, 3]),
        ({"after": date(2022, 7, 4), "before": date(2022, 7, 4)}, [3]),
        ({"before": "1970"}, [6]),
        ({"camera": "canon"}, [1]),
        ({"camera": "x-t"}, [2]),
        ({"camera": "%"}, []),
        ({"folder": "/p"}, [1, 2, 3]),
        ({"folder": "/p/trip/"}, [2, 3]),
        ({"folder": "/"}, [1, 2, 3, 4, 6]),
        ({"folder": "/p/../pq"}, [4]),
        ({"folder": "/nowhere"}, []),
        ({"near": (48.2, 16.37, 1)}, [1]),
        ({"near": (48.2, 16.37, 10)}, [1, 2]),
        ({"near": (0.0, -179.99, 3)}, [6]),  # across the date line
        ({"near": (90.0, 0.0, 20_100)}, [1, 2, 3, 6]),
        ({"folder": "/p", "after": "2021", "kind": "image", "near": (48.2, 16.4, 10), "camera": "fuji"}, [2]),
    ],
)
def test_what_passes(catalogue: Catalogue, filters: dict[str, Any], expected: list[int]) -> None:
    found = items_among(catalogue, Filters(**filters))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"kind": "vidoe"}, "did you mean 'video'"),
        ({"after": "yesterday"}, "is no date"),
        ({"after": "2021-13"}, "is no date"),
        ({"before": "2021-02-30"}, "is no date"),
        ({"before": "2021-1-1-1"}, "is no date"),
        ({"after": "2022", "before": "2021"}, "nothing is taken after"),
        ({"near": (91, 0, 1)}, "no place"),
        ({"near": (0, 0, -1)}, "no place"),
        ({"near": (0, 0, float("nan"))}, "no place"),
        ({"folder": "a\0b"}, "no folder's name"),
    ],
)
def test_what_makes_no_sense(catalogue: Catalogue, filters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        items_among(catalogue, Filters(**filters))


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
def test_distances_are_those_of_a_globe(a: float, b: float, c: float, d: float) -> None:
    assert distance(a, b, c, d) == pytest.approx(distance(c, d, a, b))
    assert 0 <= distance(a, b, c, d) <= 20_016
    assert distance(a, b, a, b) == pytest.approx(0, abs=1e-3)


def test_a_known_distance() -> None:
    assert distance(48.2082, 16.3738, 52.52, 13.405) == pytest.approx(524, abs=2)  # Vienna to Berlin


def test_paths_may_be_any_bytes(catalogue: Catalogue) -> None:
    assert len(items_among(catalogue, Filters(folder=Path("/caf\udce9")))) == 0
