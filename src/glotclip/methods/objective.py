"""The weighted sum of losses that a lesson minimises, with its learnable temperature.

Shapes: B batch, E embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from glotclip.methods.losses import cross_lingual_mse, multi_positive_contrastive

TEMPERATURE_RANGE = (0.001, 0.5)  # CLL-CLIP §2.3: clamped in place before every use


@dataclass(frozen=True)
class Targets:
    """What a batch of captions is pulled towards; everything here is frozen.

    ``english`` and ``images`` are raw features (B, E); where a row has no English counterpart or no picture,
    ``has_english`` or ``has_image`` (B,) is false and the row's feature is zero. ``groups`` (B,) is equal for
    rows that show the same picture.
    """

    english: torch.Tensor
    images: torch.Tensor
    has_english: torch.Tensor
    has_image: torch.Tensor
    groups: torch.Tensor


class Alignment(nn.Module):
    """``cross_lingual · L_cl + cross_modal · L_cm`` (CLL-CLIP, equation 4).

    A term whose weight is zero is not computed: with ``cross_modal = 0`` no picture is ever needed.
    """

    def __init__(self, cross_lingual: float, cross_modal: float, temperature: float, learn_temperature: bool = True):
        super().__init__()
        self.cross_lingual = cross_lingual
        self.cross_modal = cross_modal
        self.temperature = nn.Parameter(
            torch.tensor(float(temperature)), requires_grad=learn_temperature and cross_modal > 0
        )

    def forward(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss and its unweighted parts for the features (B, E) of a whole (global) batch."""
        loss = features.new_zeros(())
        parts: dict[str, torch.Tensor] = {}
        if self.cross_lingual and bool(targets.has_english.any()):
            rows = targets.has_english
            parts["cross_lingual"] = cross_lingual_mse(features[rows], targets.english[rows])
            loss = loss + self.cross_lingual * parts["cross_lingual"]
        if self.cross_modal and bool(targets.has_image.any()):
            with torch.no_grad():
                self.temperature.clamp_(*TEMPERATURE_RANGE)
            rows = targets.has_image
            parts["cross_modal"] = multi_positive_contrastive(
                features[rows], targets.images[rows], targets.groups[rows], self.temperature
            )
            loss = loss + self.cross_modal * parts["cross_modal"]
        return loss, {name: value.detach() for name, value in parts.items()}
