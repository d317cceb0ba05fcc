"""CODA-Prompt (Smith et al. 2023): a text's prompt is a sum of components, weighted by how much it attends to each.

As CLL-CLIP compares with (§5.9), with its fault mended: a task's components are made before the optimiser, which
therefore trains them. The paper's penalty for components that are not orthogonal is left out there and here.

Shapes: B texts, E embedding, L blocks, M components of a task, C components in all, P keys (and values), W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from glotclip.methods.pool import Chosen, Pool, PoolIngredient, blocks_of
from glotclip.methods.task import Context
from glotclip.models.hooks import TextHooks
from glotclip.models.text_tower import TextConfig


class CodaPrompt(Pool):
    """Components with keys and attention vectors: in each block the prompt is Σ cos(q ∘ A_c, K_c) P_c.

    Components of all tasks take part; those of earlier tasks do not train.

    Args:
        text: geometry of the tower.
        blocks: blocks with prompts.
        components: M.
        length: P.
        tasks: how many tasks have components.
    """

    kind: ClassVar[str] = "coda_prompt"

    def __init__(self, text: TextConfig, blocks: Sequence[int], components: int, length: int, tasks: int = 0) -> None:
        self.blocks = blocks_of(text, blocks, "prompts")
        L, M, E = len(self.blocks), components, text.embed_dim
        shapes = {"prompt": (L, M, 2, length, text.width), "key": (L, M, E), "attention": (L, M, E)}
        super().__init__(shapes, tasks)

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        """The prompts of texts whose features without prompts are these (B, E)."""
        query = features.float()
        prompts, keys, attention = (torch.cat(list(self.of(name)), dim=1) for name in ("prompt", "key", "attention"))
        weights = cosines(query, attention, keys)  # (L, B, C)
        made = torch.einsum("lbc,lcipw->libpw", weights, prompts)
        return Chosen({k: (pair[0], pair[1]) for k, pair in zip(self.blocks, made, strict=True)})

    def drawn(self, name: str, generator: torch.Generator) -> torch.Tensor:
        """Unit vectors, in each block orthogonal to all components before them, a prompt counting as one vector."""
        shape = self.shapes[name]
        earlier = [tensor.detach().flatten(2) for tensor in self.of(name)]
        blocks = [
            orthogonal(torch.cat([each[place] for each in earlier]) if earlier else None, *_flat(shape), generator)
            for place in range(shape[0])
        ]
        return torch.stack(blocks).view(shape)

    def description(self) -> dict[str, Any]:
        """Blocks, sizes and number of tasks."""
        shape = self.shapes["prompt"]
        return {"blocks": list(self.blocks), "components": shape[1], "length": shape[3], "tasks": self.tasks}


def cosines(query: torch.Tensor, attention: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """cos(q ∘ A, K) of queries (B, E) with attention vectors and keys (L, C, E): (L, B, C).

    As (q·(A ∘ K)) / (|q ∘ A| |K|), which needs no tensor (L, B, C, E).
    """
    products = query @ (attention * keys).mT
    lengths = (query.square() @ attention.square().mT).clamp(min=1e-16).sqrt()
    result: torch.Tensor = products / (lengths * keys.norm(dim=-1)[:, None].clamp(min=1e-8))
    return result


def orthogonal(earlier: torch.Tensor | None, count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """Draw unit vectors (count, size) orthogonal to ``earlier`` (C, size) and to one another (Gram–Schmidt).

    Where all directions are taken, a vector is drawn at random.
    """
    basis = torch.empty(size, 0) if earlier is None else torch.linalg.qr(earlier.T)[0]
    found: list[torch.Tensor] = []
    while len(found) < count:
        draw = rest = torch.randn(size, generator=generator)
        if basis.shape[1] < size:
            for _ in range(2):  # the second time removes what rounding left
                rest = rest - basis @ (basis.T @ rest)
            if rest.norm() < 1e-3 * draw.norm():
                continue  # one of the draws before, as in a language that goes on learning under the same seed
            basis = torch.cat([basis, (rest / rest.norm())[:, None]], dim=1)
        found.append(rest / rest.norm())
    return torch.stack(found)


def _flat(shape: tuple[int, ...]) -> tuple[int, int]:
    """Number and length of a block's vectors in a shape (L, M, …)."""
    return shape[1], int(torch.Size(shape[2:]).numel())


@dataclass(frozen=True)
class CodaPromptIngredient(PoolIngredient):
    """How a method uses CODA-Prompt. Of the blocks named, those that the tower has get prompts.

    Args:
        blocks: blocks, from 0, with prompts.
        components: of each task.
        length: keys, and values, of a prompt.
    """

    kind: ClassVar[str] = CodaPrompt.kind
    blocks: tuple[int, ...] = (0, 1, 2, 3, 4)
    components: int = 5
    length: int = 1

    def fresh(self, context: Context) -> CodaPrompt:
        """A pool without components."""
        return CodaPrompt(context.base.text.config, self.blocks, self.components, self.length)
