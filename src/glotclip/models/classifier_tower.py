"""A classifier of photographs as an image tower: its classes' probabilities mix the text features of the classes.

    f(x) = softmax(W · trunk(x) + b) · M

Each row of M is the feature, in a text tower's space, of what a class is called (ConSE, Norouzi et al. 2014). So the
text tower's space is the joint space, and nothing has to be trained. All that is visual passes through the classes'
scores: relations, counts and scenes that no class stands for cannot be told apart.

Shapes: N images, C classes, E embedding, S pixels of a side.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import torch
from torch import nn

from glotclip.errors import ConfigError
from glotclip.models.efficientnet import FINAL, STAGES_OF, EfficientNetLite

CLASSES = "efficientnet-classes"  # the kind that glotclip.json names


@dataclass(frozen=True)
class ClassifierConfig:
    """Geometry: the ``size`` of EfficientNet-lite, how many classes it tells apart, and E."""

    size: str = "lite0"
    classes: int = 1000
    embed_dim: int = 384

    def __post_init__(self) -> None:
        if self.size not in STAGES_OF:
            raise ConfigError(f"there is no EfficientNet of size {self.size!r}", hint=f"use {', '.join(STAGES_OF)}")


class ClassifierTower(nn.Module):
    """EfficientNet-lite with its classifier, and the table of the classes' features."""

    table: torch.Tensor  # M (C, E)

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_dim = config.embed_dim
        self.trunk = EfficientNetLite(config.size)
        self.classifier = nn.Linear(FINAL, config.classes)
        self.register_buffer("table", torch.zeros(config.classes, config.embed_dim))

    @property
    def identity(self) -> str:
        """The geometry."""
        return json.dumps({"kind": CLASSES, **asdict(self.config)}, sort_keys=True)

    def probabilities(self, pixels: torch.Tensor) -> torch.Tensor:
        """Each class's share (N, C) of what pixels (N, 3, S, S) show."""
        final, _ = self.trunk(pixels)
        scores: torch.Tensor = self.classifier(final)
        return scores.softmax(dim=1)

    def forward(self, pixels: torch.Tensor, *, precision: torch.dtype | None = None) -> torch.Tensor:
        """Encode pixels (N, 3, S, S) as unnormalised features (N, E); ``precision`` is not used here."""
        return self.probabilities(pixels) @ self.table
