"""CODA-Prompt: the sum of components by hand, orthogonal draws, and that components do train."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from glotclip.methods.coda_prompt import CodaPrompt, cosines, orthogonal
from glotclip.methods.module import ALL
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.models.dual_encoder import DualEncoder


def test_a_prompt_is_the_weighted_sum_of_all_components(base: DualEncoder, make_task: MakeTask) -> None:
    state = make_task(base, ["coda-prompt"], shared=True).finish(1.0)
    (module,) = make_task(base, ["coda-prompt"], ("fr",), state, shared=True).shared_modules
    assert isinstance(module, CodaPrompt)
    query = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    chosen = module.condition_on(query)
    prefixes = [hooks.prefix for k in range(2) if (hooks := chosen.block_hooks(k)) and hooks.prefix]
    for block, (key, value) in enumerate(prefixes):
        for row in range(4):
            expected = torch.zeros(2, 2, 32)
            for task in range(2):
                for c in range(3):
                    prompt, own, attention = (
                        module.of(name)[task][block, c] for name in ("prompt", "key", "attention")
                    )
                    expected = expected + F.cosine_similarity(query[row] * attention, own, dim=0) * prompt
            torch.testing.assert_close(key[row], expected[0])
            torch.testing.assert_close(value[row], expected[1])
    assert len(prefixes) == 2
    prefixes[0][0].sum().backward()  # type: ignore[no-untyped-call]
    for name in ("prompt", "key", "attention"):
        gradient = module.of(name)[1].grad
        assert gradient is not None
        assert gradient.any()
        assert module.of(name)[0].grad is None


def test_components_of_all_tasks_start_orthogonal(base: DualEncoder, make_task: MakeTask) -> None:
    state = None
    for code in ("de", "fr", "de"):
        state = make_task(base, ["coda-prompt"], (code,), state, shared=True, components=4, length=1).finish(1.0)
    module = state.module("coda-prompt", ALL) if state else None
    assert isinstance(module, CodaPrompt)
    for name in ("prompt", "key", "attention"):
        for block in range(2):
            rows = torch.cat([each[block].flatten(1) for each in module.of(name)])
            assert len(rows) == 12
            torch.testing.assert_close(rows @ rows.T, torch.eye(12), atol=1e-5, rtol=0)


@given(st.integers(1, 9), st.integers(0, 6), st.integers(1, 6))
def test_unit_vectors_even_where_all_directions_are_taken(size: int, before: int, count: int) -> None:
    generator = torch.Generator().manual_seed(size + 10 * before)
    earlier = torch.randn(before, size, generator=generator) if before else None
    found = orthogonal(earlier, count, size, generator)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(count))
    free = min(count, max(0, size - before))
    if earlier is not None and free:
        assert (found[:free] @ F.normalize(earlier, dim=1).T).abs().max() < 1e-3
    torch.testing.assert_close(found[:free] @ found[:free].T, torch.eye(free), atol=1e-4, rtol=0)


def test_cosines_without_the_large_tensor() -> None:
    generator = torch.Generator().manual_seed(0)
    query, attention, keys = (torch.randn(size, generator=generator) for size in ((5, 8), (2, 7, 8), (2, 7, 8)))
    expected = F.cosine_similarity(query[None, :, None] * attention[:, None], keys[:, None], dim=-1)
    torch.testing.assert_close(cosines(query, attention, keys), expected)
    assert torch.isfinite(cosines(torch.zeros(1, 8), attention, keys)).all()


def test_counts_as_the_paper() -> None:
    assert CodaPrompt(TextConfig(), CodaPrompt.Config(), tasks=36).size == 1_843_200
