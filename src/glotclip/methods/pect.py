"""What PECT's methods have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# PECT (§3): the image's contrast in full, a fixed temperature, the layer norms beside; its batches, learning rate and
# epochs are recipes.
PECT: Mapping[str, Any] = {
    "cross_modal": 1.0, "temperature": 0.01, "learn_temperature": False, "weight_decay": 0.0, "norms": True,
}  # fmt: skip
PECT_WITHOUT_NORMS: Mapping[str, Any] = {**PECT, "norms": False}
