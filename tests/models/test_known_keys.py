from __future__ import annotations

import pytest

from glotclip.errors import CheckpointError
from glotclip.models.known_keys import KnownKeys, harmless, names

KNOWN = KnownKeys(
    names("width heads"), harmless("acts in training only", "dropout rate"), {"causal": (True,), "x": ()}
)


def test_what_is_known_passes() -> None:
    KNOWN.check({"width": 3, "dropout": 0.5, "causal": True, "x": None, "new": None}, "file")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"new": 1, "newer": "a"}, "file has keys that glotclip does not understand: new = 1, newer = 'a'"),
        ({"new": False}, "file has a key that glotclip does not understand: new = False"),
        ({"new": "a" * 99}, "…"),
        ({"causal": False}, "file describes a variant that glotclip cannot compute: causal = False"),
        ({"causal": 1}, "causal = 1"),  # 1 equals true in Python, and is not
        ({"x": 0}, "x = 0"),
    ],
)
def test_what_is_not_is_named(table: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        KNOWN.check(table, "file")
    assert message in caught.value.message
    assert caught.value.hint
