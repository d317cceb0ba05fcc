from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from glotclip.server.schemas import Embed, Hiding, ImagePart, Narrowed, Search, SearchParameters


def test_filters_are_what_a_library_takes() -> None:
    found = Narrowed(near="48.2, -16.37,5", after="2021-07", kind="video").filters()
    assert found["near"] == (48.2, -16.37, 5.0)
    assert (found["after"], found["kind"], found["limit"], found["fold"]) == ("2021-07", "video", 60, True)


@pytest.mark.parametrize(
    "given",
    [{"limit": 0}, {"limit": 501}, {"offset": -1}, {"near": "here"}, {"near": "1,2"}, {"after": "July"},
     {"kind": "song"}, {"min_probability": 1.1}, {"colour": "red"}, {"near": "1e5,2,3"}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Narrowed(**given)


@pytest.mark.parametrize("query", ["", " ", "\t\n", "x" * 2001])
def test_a_query_has_something_in_it(query: str) -> None:
    with pytest.raises(ValidationError):
        SearchParameters(q=query)
    with pytest.raises(ValidationError):
        Search(texts=[query])


def test_no_number_is_a_truth_value() -> None:
    for given in ({"items": [1], "hidden": 0}, {"items": ["1"]}, {"items": [1.5]}):
        with pytest.raises(ValidationError):
            Hiding.model_validate(given)
    with pytest.raises(ValidationError):
        Search.model_validate({"like": [1], "fold": 1})
    assert SearchParameters.model_validate({"q": "dog", "fold": "false", "limit": "3"}).limit == 3


def test_parts_of_embeddings() -> None:
    asked = Embed.model_validate(
        {"input": ["a text", {"type": "text", "text": "x"},
                   {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}], "user": "me",
         "unknown": 1}
    )  # fmt: skip
    assert isinstance(asked.input, list) and isinstance(asked.input[2], ImagePart)
    with pytest.raises(ValidationError):
        Embed.model_validate({"input": [{"type": "image_url", "image_url": {"url": "http://elsewhere/a.png"}}]})
