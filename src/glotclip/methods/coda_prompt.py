"""CODA-Prompt (Smith et al. 2023): a text's prompt is a sum of components, weighted by how much it attends to each.

As CLL-CLIP compares with (§5.9), with its fault mended: a task's components are made before the optimiser, which
therefore trains them. The paper's penalty for components that are not orthogonal is left out there and here.

Shapes: B texts, E embedding, L blocks, M components of a task, C components in all, P keys (and values), W width.
"""

from __future__ import annotations

import torch
from pydantic import Field

from glotclip.config import Settings
from glotclip.methods.module import register_method
from glotclip.methods.pool import POOL, ChosenPrompts, Pool, blocks_of
from glotclip.models.hooks import TextHooks
from glotclip.models.text_tower import TextConfig


@register_method("coda-prompt", "prompts mixed by the text of each task's components (CODA-Prompt)", defaults=POOL)
class CodaPrompt(Pool):
    """Components with keys and attention vectors: in each block the prompt is Σ cos(q ∘ A_c, K_c) P_c.

    Components of all tasks take part; those of earlier tasks do not train.
    """

    class Config(Settings):
        """CODA-Prompt: prompts mixed of components, by the text."""

        blocks: tuple[int, ...] = Field((0, 1, 2, 3, 4), description="blocks with prompts, of those the tower has")
        components: int = Field(5, ge=1, description="components of each task")
        length: int = Field(1, ge=1, description="keys, and values, of a prompt")

    stored_settings = ("blocks", "components", "length")

    def __init__(self, text: TextConfig, config: Config, tasks: int = 0) -> None:
        self.blocks = blocks_of(text, config.blocks, "prompts")
        L, M, E = len(self.blocks), config.components, text.embed_dim
        shapes = {"prompt": (L, M, 2, config.length, text.width), "key": (L, M, E), "attention": (L, M, E)}
        super().__init__(text, config, shapes, tasks)

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        """The prompts of texts whose features without prompts are these (B, E)."""
        query = features.float()
        prompts, keys, attention = (torch.cat(list(self.of(name)), dim=1) for name in ("prompt", "key", "attention"))
        weights = cosines(query, attention, keys)  # (L, B, C)
        made = torch.einsum("lbc,lcipw->libpw", weights, prompts)
        return ChosenPrompts({k: (pair[0], pair[1]) for k, pair in zip(self.blocks, made, strict=True)})

    def drawn(self, name: str, generator: torch.Generator) -> torch.Tensor:
        """Unit vectors, in each block orthogonal to all components before them, a prompt counting as one vector."""
        shape = self.shapes[name]
        earlier = [tensor.detach().flatten(2) for tensor in self.of(name)]
        blocks = [
            orthogonal(torch.cat([each[place] for each in earlier]) if earlier else None, *_flat(shape), generator)
            for place in range(shape[0])
        ]
        return torch.stack(blocks).view(shape)


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
