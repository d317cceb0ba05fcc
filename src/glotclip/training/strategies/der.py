"""Dark experience replay: captions are seen again, and held to what the student made of them when they came by.

CLL-CLIP §5.4, after Buzzega et al. 2020.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from glotclip.methods.objective import Targets
from glotclip.training.strategies.rehearsal import Rehearsal


class DarkExperienceReplay(Rehearsal):
    """Samples are held to the student's own raw feature at the step in which they entered the memory."""

    name: ClassVar[str] = "der"

    def held(self, features: torch.Tensor, targets: Targets, row: int) -> torch.Tensor | None:
        """The student's feature (E,)."""
        return features[row]
