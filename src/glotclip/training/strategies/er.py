"""Experience replay: captions of earlier tasks are seen again, and held to their English counterparts' features.

CLL-CLIP §5.3; the reservoir is that of Riemer et al. 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch

from glotclip.errors import ConfigError
from glotclip.methods.objective import Targets
from glotclip.training.stages import Stage
from glotclip.training.strategies.rehearsal import Rehearsal


class ExperienceReplay(Rehearsal):
    """Samples are held to the frozen feature of the text they are aligned with."""

    name: ClassVar[str] = "er"

    def check(self, stages: Sequence[Stage]) -> None:
        """Ask for frozen partners: a partner that the learner encodes moves with it."""
        if any(stage.objective.encodes_targets for stage in stages):
            raise ConfigError(
                "strategy=er holds captions to frozen features, but here the partner is encoded anew in every step",
                hint="use strategy=der, which keeps the student's own features, or target_encoder=frozen",
            )

    def held(self, features: torch.Tensor, targets: Targets, row: int) -> torch.Tensor | None:
        """The partner's frozen feature (E,), where the caption has a partner."""
        return targets.target_features[row] if targets.has_target[row] else None
