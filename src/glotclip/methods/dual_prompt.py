"""DualPrompt (Wang et al. 2022): prompts that all tasks share, and prompts of a task that a text chooses by key.

As CLL-CLIP compares with (§5.8), with its faults mended: every block named has its prompts, its last one included;
a key pulled towards a task's texts is that task's alone, and nothing decays the others'.

Shapes: B texts, E embedding, L blocks with a task's prompts, N tasks, P keys (and values) of a prompt, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.methods.pool import Chosen, Pool, PoolIngredient, blocks_of
from glotclip.methods.task import Context
from glotclip.models.hooks import TextHooks
from glotclip.models.text_tower import TextConfig


class DualPrompt(Pool):
    """General prompts and a pool of experts.

    While it trains, every text gets the current task's experts, and the task's keys are pulled towards the texts'
    embeddings; without gradients (in validation, and from a pack) each text gets, block by block, the experts whose
    key is nearest to its own embedding.

    Args:
        text: geometry of the tower.
        general_blocks: blocks with a prompt that all tasks share.
        general: its P.
        expert_blocks: blocks with a prompt of each task.
        expert: its P.
        tasks: N.
    """

    kind: ClassVar[str] = "dual_prompt"

    def __init__(
        self,
        text: TextConfig,
        general_blocks: Sequence[int],
        general: int,
        expert_blocks: Sequence[int],
        expert: int,
        tasks: int = 0,
    ) -> None:
        self.general_blocks = blocks_of(text, general_blocks, "general prompts")
        self.expert_blocks = blocks_of(text, expert_blocks, "prompts of a task")
        L = len(self.expert_blocks)
        super().__init__({"prompt": (L, 2, expert, text.width), "key": (L, text.embed_dim)}, tasks)
        self.general = nn.Parameter(torch.empty(len(self.general_blocks), 2, general, text.width))
        self.pull = 1.0
        self._distances: list[torch.Tensor] = []

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        """The prompts of texts whose features without prompts are these (B, E)."""
        prefixes = {k: (pair[0], pair[1]) for k, pair in zip(self.general_blocks, self.general, strict=True)}
        query = F.normalize(features.float(), dim=-1)
        if torch.is_grad_enabled() and self.of("key")[-1].requires_grad:
            nearness = query @ F.normalize(self.of("key")[-1], dim=-1).T  # (B, L)
            self._distances.append(1 - nearness.mean(1))
            own = {k: (pair[0], pair[1]) for k, pair in zip(self.expert_blocks, self.of("prompt")[-1], strict=True)}
            return Chosen(_both(prefixes, own))
        keys = F.normalize(torch.stack(list(self.of("key"))), dim=-1)  # (N, L, E)
        nearest = torch.einsum("be,nle->bln", query, keys).argmax(-1)
        prompts = torch.stack(list(self.of("prompt")))  # (N, L, 2, P, W)
        own = {
            k: (prompts[nearest[:, place], place, 0], prompts[nearest[:, place], place, 1])
            for place, k in enumerate(self.expert_blocks)
        }
        size = len(features)
        return Chosen(
            _both({k: (a.expand(size, -1, -1), b.expand(size, -1, -1)) for k, (a, b) in prefixes.items()}, own)
        )

    def auxiliary_loss(self) -> torch.Tensor | None:
        """The pull loss: 1 − cos(query, key), mean over texts and blocks."""
        if not self._distances:
            return None
        loss = self.pull * torch.cat(self._distances).mean()
        self._distances.clear()
        return loss

    def stored(self) -> Self:
        """A copy that no longer trains."""
        self._distances.clear()
        return super().stored()  # type: ignore[return-value]

    def drawn(self, name: str, generator: torch.Generator) -> torch.Tensor:
        """Uniform in (−1, 1)."""
        return torch.rand(self.shapes[name], generator=generator) * 2 - 1

    def description(self) -> dict[str, Any]:
        """Blocks, lengths and number of tasks."""
        return {
            "general_blocks": list(self.general_blocks),
            "general": self.general.shape[2],
            "expert_blocks": list(self.expert_blocks),
            "expert": self.shapes["prompt"][2],
            "tasks": self.tasks,
        }


def _both(
    general: Mapping[int, tuple[torch.Tensor, torch.Tensor]], own: Mapping[int, tuple[torch.Tensor, torch.Tensor]]
) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Prefixes by block, one after the other where a block has both."""
    joined = {
        k: (torch.cat([general[k][0], own[k][0]], dim=-2), torch.cat([general[k][1], own[k][1]], dim=-2))
        for k in general.keys() & own.keys()
    }
    return {**general, **own, **joined}


@dataclass(frozen=True)
class DualPromptIngredient(PoolIngredient):
    """How a method uses DualPrompt. Of the blocks named, those that the tower has get prompts.

    Args:
        general_blocks: blocks, from 0, with a prompt that all tasks share.
        general: its keys, and values.
        expert_blocks: blocks with a prompt of each task.
        expert: its keys, and values.
        pull: weight of the loss that pulls a task's keys towards its texts.
    """

    kind: ClassVar[str] = DualPrompt.kind
    general_blocks: tuple[int, ...] = (0, 1)
    general: int = 1
    expert_blocks: tuple[int, ...] = (2, 3, 4)
    expert: int = 8
    pull: float = 1.0

    def fresh(self, context: Context) -> DualPrompt:
        """Draw the general prompts, uniform in (−1, 1)."""
        part = DualPrompt(
            context.base.text.config, self.general_blocks, self.general, self.expert_blocks, self.expert
        )
        nn.init.uniform_(part.general, -1, 1, generator=context.generator)
        part.pull = self.pull
        return part
