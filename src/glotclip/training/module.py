"""What the trainer trains, and the batches it is given.

Shapes: B batch, T tokens, E embedding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from glotclip.methods.module import ParameterGroup
from glotclip.methods.objective import Targets
from glotclip.training.dropout import DropoutSeed


@dataclass(frozen=True)
class LanguageBatch:
    """Texts of one language: ids (B, T), lengths (B,), and those of their target texts where they are encoded too."""

    ids: torch.Tensor
    lengths: torch.Tensor
    language: str
    target: tuple[torch.Tensor, torch.Tensor] | None = None


@dataclass(frozen=True)
class Batch:
    """One process's share of a step.

    Attributes:
        texts: what is encoded, language by language.
        targets: what the rows of all texts are pulled towards.
        samples: (language, text) of the rows that are new; those of earlier tasks may follow them.
        dropout: what is dropped, if anything is.
    """

    texts: tuple[LanguageBatch, ...]
    targets: Targets
    samples: tuple[tuple[str, str], ...] = ()
    dropout: DropoutSeed | None = None


DataLoader = Callable[[int], Sequence[Batch]]  # step → the micro-batches of this process, a pure function of the step


class Encoded(NamedTuple):
    """Raw features (B, E) of a batch's rows, with gradients; ``target`` where the module encodes those too."""

    features: torch.Tensor
    target: torch.Tensor | None = None


class TrainingModule(ABC):
    """What the trainer trains: it encodes a batch, and gives the loss of the features of the whole global batch."""

    @abstractmethod
    def groups(self) -> Sequence[ParameterGroup]:
        """Every weight that trains, the loss's own included."""

    @abstractmethod
    def encode(self, batch: Batch) -> Encoded:
        """Encode this process's share."""

    @abstractmethod
    def loss(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss, and its terms to be logged, from the features (B, E) of the global batch."""

    def on_step_end(self, batches: Sequence[Batch], features: Sequence[torch.Tensor]) -> None:
        """Called after a step, with its micro-batches and their features before it, without gradients."""
        return

    def on_best(self) -> None:
        """Called when a validation's weights are kept: the training ends with the last that are."""
        return

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What a checkpoint must hold besides the weights."""
        return {}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`state_dict` gave."""
        return
