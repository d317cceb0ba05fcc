"""DualPrompt (Wang et al. 2022): prompts that all tasks share, and prompts of a task that a text chooses by key.

As CLL-CLIP compares with (§5.8), with its faults mended: every block named has its prompts, its last one included;
a key pulled towards a task's texts is that task's alone, and nothing decays the others'.

Shapes: B texts, E embedding, L blocks with a task's prompts, N tasks, P keys (and values) of a prompt, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import nn

from glotclip.config import Settings
from glotclip.methods.module import TextModule, register_method
from glotclip.methods.pool import POOL, ChosenPrompts, Pool, blocks_of
from glotclip.models.dual_encoder import normalised
from glotclip.models.hooks import TextHooks
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask


@register_method("dual-prompt", "prompts chosen by the text, one a task (DualPrompt)", defaults=POOL)
class DualPrompt(Pool):
    """General prompts and a pool of experts.

    While it trains, every text gets the current task's experts, and the task's keys are pulled towards the texts'
    embeddings; without gradients (in validation, and from a pack) each text gets, block by block, the experts whose
    key is nearest to its own embedding.
    """

    class Config(Settings):
        """DualPrompt: prompts for all tasks in some blocks, a prompt of each task in others."""

        general_blocks: tuple[int, ...] = Field((0, 1), description="blocks with a prompt that all tasks share")
        general: int = Field(1, ge=1, description="keys, and values, of the prompt that all tasks share")
        expert_blocks: tuple[int, ...] = Field((2, 3, 4), description="blocks with a prompt of each task")
        expert: int = Field(8, ge=1, description="keys, and values, of each task's prompt")
        pull: float = Field(1.0, ge=0, description="weight of the loss that pulls a task's keys towards its texts")

    stored_settings = ("general_blocks", "general", "expert_blocks", "expert")

    def __init__(self, text: TextConfig, config: Config, tasks: int = 0) -> None:
        self.general_blocks = blocks_of(text, config.general_blocks, "general prompts")
        self.expert_blocks = blocks_of(text, config.expert_blocks, "prompts of a task")
        L = len(self.expert_blocks)
        shapes = {"prompt": (L, 2, config.expert, text.width), "key": (L, text.embed_dim)}
        super().__init__(text, config, shapes, tasks)
        self.general = nn.Parameter(torch.empty(len(self.general_blocks), 2, config.general, text.width))
        self._distances: list[torch.Tensor] = []

    def init_weights(self, task: TrainingTask) -> None:
        """Draw the general prompts, uniform in (−1, 1)."""
        nn.init.uniform_(self.general, -1, 1, generator=task.generator)

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        """The prompts of texts whose features without prompts are these (B, E)."""
        prefixes = {k: (pair[0], pair[1]) for k, pair in zip(self.general_blocks, self.general, strict=True)}
        query = normalised(features.float())
        if torch.is_grad_enabled() and self.of("key")[-1].requires_grad:
            nearness = query @ normalised(self.of("key")[-1]).T  # (B, L)
            self._distances.append(1 - nearness.mean(1))
            own = {k: (pair[0], pair[1]) for k, pair in zip(self.expert_blocks, self.of("prompt")[-1], strict=True)}
            return ChosenPrompts(_both(prefixes, own))
        keys = normalised(torch.stack(list(self.of("key"))))  # (N, L, E)
        nearest = torch.einsum("be,nle->bln", query, keys).argmax(-1)
        prompts = torch.stack(list(self.of("prompt")))  # (N, L, 2, P, W)
        own = {
            k: (prompts[nearest[:, place], place, 0], prompts[nearest[:, place], place, 1])
            for place, k in enumerate(self.expert_blocks)
        }
        size = features.shape[0]
        return ChosenPrompts(
            _both({k: (a.expand(size, -1, -1), b.expand(size, -1, -1)) for k, (a, b) in prefixes.items()}, own)
        )

    def auxiliary_loss(self) -> torch.Tensor | None:
        """The pull loss: 1 − cos(query, key), mean over texts and blocks."""
        if not self._distances:
            return None
        loss: torch.Tensor = self.config.pull * torch.cat(self._distances).mean()
        self._distances.clear()
        return loss

    def finished(self, decay: float) -> TextModule:
        """A copy that no longer trains."""
        self._distances.clear()
        return super().finished(decay)

    def drawn(self, name: str, generator: torch.Generator) -> torch.Tensor:
        """Uniform in (−1, 1)."""
        return torch.rand(self.shapes[name], generator=generator) * 2 - 1


def _both(
    general: Mapping[int, tuple[torch.Tensor, torch.Tensor]], own: Mapping[int, tuple[torch.Tensor, torch.Tensor]]
) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Prefixes by block, one after the other where a block has both."""
    joined = {
        k: (torch.cat([general[k][0], own[k][0]], dim=-2), torch.cat([general[k][1], own[k][1]], dim=-2))
        for k in general.keys() & own.keys()
    }
    return {**general, **own, **joined}
