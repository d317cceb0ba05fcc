"""The scores of one language as JSON, the one number that stands for them, and how ranks are counted.

Scores are ``{"text_to_image": {"r@1": …, …}, "image_to_text": {"r@1": …, …}, …}``, in percent; see
:mod:`glotclip.evaluation.retrieval`. Training may not import evaluation, so what both know lies here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DIRECTIONS = ("text_to_image", "image_to_text")
REFERENCE = "en"
"""The language that others are compared with."""
PROTOCOLS: Mapping[str, str] = {
    "karpathy": "image → text: the rank of an image's best caption among all captions (Karpathy & Fei-Fei 2015)",
    "mla": "image → text: the rank of an image's captions among those of all images, each image's captions standing "
    "as one, their best (MLA, Zhang et al. 2022); R@5 and R@10 come out higher where images have several captions",
}
"""How ranks are counted, by name; text → image is the same in all."""
DEFAULT_PROTOCOL = "karpathy"


def headline(scores: Mapping[str, Any], directions: Sequence[str] = DIRECTIONS) -> float:
    """The headline score of a language: R@1 in percent, the mean of both directions (or of those given)."""
    return sum(float(scores[direction]["r@1"]) for direction in directions) / len(directions)


def check_protocol(name: str) -> None:
    """Raise :class:`ConfigError` with "did you mean" unless there is a protocol of this name."""
    from glotclip.config import check_names  # brings pydantic, which `--help` need not wait for

    check_names([name], PROTOCOLS, kind="protocol")
