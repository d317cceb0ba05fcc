"""The headline score, and the protocols."""

from __future__ import annotations

import pytest

from glotclip.errors import ConfigError
from glotclip.scores import DEFAULT_PROTOCOL, PROTOCOLS, check_protocol, headline


def test_the_headline_is_the_mean_r1_of_both_directions() -> None:
    scores = {"text_to_image": {"r@1": 10.0, "r@5": 50.0}, "image_to_text": {"r@1": 40.0}}
    assert headline(scores) == 25.0
    assert headline(scores, ["image_to_text"]) == 40.0


def test_a_protocol_is_known_or_refused() -> None:
    for name in (*PROTOCOLS, DEFAULT_PROTOCOL):
        check_protocol(name)
    with pytest.raises(ConfigError) as caught:
        check_protocol("karpaty")
    assert "did you mean 'karpathy'" in caught.value.hint
