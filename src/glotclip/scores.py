"""The scores of one language as JSON, and the one number that stands for them.

Scores are ``{"text_to_image": {"r@1": …, …}, "image_to_text": {"r@1": …, …}, …}``, in percent; see
:func:`glotclip.evaluation.retrieval.evaluate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DIRECTIONS = ("text_to_image", "image_to_text")
REFERENCE = "en"
"""The language that gaps are measured to."""


def headline(scores: Mapping[str, Any], directions: Sequence[str] = DIRECTIONS) -> float:
    """The headline score: R@1 in percent, the mean of both directions (or of those given)."""
    return sum(float(scores[direction]["r@1"]) for direction in directions) / len(directions)
