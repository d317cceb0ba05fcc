"""What an answer says of itself, and that all of it is JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.library.answer import Answer, Hit
from glotclip.library.calibration import CUTOFF
from glotclip.library.records import Item


def item(number: int, path: Path, place: tuple[float, float] | None = None) -> Item:
    lat, lon = place or (None, None)
    return Item(number, "image", (path, path), 0, None, "exif", lat, lon, "Canon", None, 4, 3, None, None)


def answer(hits: tuple[Hit, ...] = (), **more: Any) -> Answer:
    told: dict[str, Any] = {
        "offset": 0, "more": False, "total": len(hits), "searched": 10, "cutoff": CUTOFF, "model": "m", "lang": "de",
        "guess": None, "weights": {"de": 1.0},
    }  # fmt: skip
    return Answer(hits, **{**told, **more})


@given(
    score=st.floats(-1, 1), probability=st.none() | st.floats(0, 1), second=st.none() | st.floats(0, 9e4),
    name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1),
    place=st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
)  # fmt: skip
def test_a_hit_is_json_whatever_it_is(
    score: float, probability: float | None, second: float | None, name: str, place: tuple[float, float] | None
) -> None:
    hit = Hit(item(7, Path("/photos") / name, place), score, probability, second, (8, 9))
    told = json.loads(json.dumps(answer((hit,)).record()))["hits"][0]
    assert (told["item"], told["path"], told["second"]) == (7, str(hit.path), second)
    assert told["score"] == pytest.approx(score, abs=1e-6)
    assert told["place"] == (None if place is None else list(place))
    assert told["uri"].startswith("file:///photos/") and told["duplicates"] == [8, 9]
    assert (told["words"] == "not known") == (probability is None)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"searched": 0}, "no picture or video passes the filters"),
        ({"searched": 12_000}, "none of 12,000 pictures and videos is a good match"),
        ({"offset": 20, "total": 7}, "there are only 7 hits"),
        ({"offset": 20, "total": 0}, "none of 10 pictures and videos is a good match"),
    ],
)
def test_an_answer_without_a_hit_says_why(more: dict[str, Any], said: str) -> None:
    assert answer(**more).note == said == answer(**more).record()["note"]


def test_an_answer_with_a_hit_has_nothing_to_explain() -> None:
    assert answer((Hit(item(1, Path("/a")), 0.3, 0.9, None),), searched=0).note == ""
