from __future__ import annotations

import pytest
import torch

from glotclip.models import attention
from glotclip.models.attention import Group, WrittenOut, attend, attend_at, use_manual_attention

GROUPS = [Group(3, 2), Group(2, 5), Group(1, 1)]
S, HEADS, WIDTH = 17, 2, 8


OWN = torch.tensor([True, False, True, True, True, True, *[True] * 3, False, False, *[True] * 4, False, True])


def oracle(qkv: torch.Tensor, causal: bool, own: torch.Tensor | None = None) -> torch.Tensor:
    """Attention sequence by sequence and head by head, as the formula says."""
    outs = []
    start = 0
    for size, length in GROUPS:
        for _ in range(size):
            query, key, value = qkv[start : start + length].chunk(3, dim=1)
            heads = []
            for h in range(HEADS):
                part = slice(h * WIDTH // HEADS, (h + 1) * WIDTH // HEADS)
                scores = query[:, part] @ key[:, part].T / (WIDTH // HEADS) ** 0.5
                if causal:
                    scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), float("-inf"))
                if own is not None:
                    scores = scores.masked_fill(~own[start : start + length], float("-inf"))
                heads.append(scores.softmax(-1) @ value[:, part])
            outs.append(torch.cat(heads, dim=1))
            start += length
    return torch.cat(outs)


def written_out(qkv: torch.Tensor, causal: bool, own: torch.Tensor | None = None) -> torch.Tensor:
    out: torch.Tensor = WrittenOut.apply(qkv, GROUPS, HEADS, causal, own)  # type: ignore[no-untyped-call]
    return out


@pytest.fixture
def qkv() -> torch.Tensor:
    return torch.randn(S, 3 * WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("causal", [True, False])
def test_both_implementations_equal_the_formula(qkv: torch.Tensor, causal: bool) -> None:
    expected = oracle(qkv, causal)
    torch.testing.assert_close(attend(qkv, GROUPS, HEADS, causal), expected)
    torch.testing.assert_close(written_out(qkv, causal), expected)


def test_padding_is_not_seen(qkv: torch.Tensor) -> None:
    expected = oracle(qkv, False, OWN)
    torch.testing.assert_close(attend(qkv, GROUPS, HEADS, False, own=OWN), expected)
    torch.testing.assert_close(written_out(qkv, False, OWN), expected)
    assert (expected - oracle(qkv, False)).abs().max() > 1e-2


@pytest.mark.parametrize(("causal", "own"), [(True, None), (False, None), (False, OWN)])
def test_written_out_backward_is_the_gradient(qkv: torch.Tensor, causal: bool, own: torch.Tensor | None) -> None:
    qkv.requires_grad_(True)
    weights = torch.linspace(-1, 1, S * WIDTH, dtype=torch.float64).view(S, WIDTH)
    (ours,) = torch.autograd.grad((written_out(qkv, causal, own) * weights).sum(), qkv)
    (expected,) = torch.autograd.grad((oracle(qkv, causal, own) * weights).sum(), qkv)
    torch.testing.assert_close(ours, expected)


def test_single_queries_equal_the_full_attention(qkv: torch.Tensor) -> None:
    ends = torch.tensor([1, 2, 5, 10, 15, 16])  # the second and the last but one text end before their group does
    query, keys_values = qkv[:, :WIDTH], qkv[:, WIDTH:]
    causal = attend_at(query[ends], keys_values, GROUPS, ends, HEADS)
    torch.testing.assert_close(causal, oracle(qkv, True)[ends])
    free = attend_at(query[ends], keys_values, GROUPS, None, HEADS)
    torch.testing.assert_close(free, oracle(qkv, False)[ends])


def test_choice_of_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert use_manual_attention("cpu", torch.bfloat16, 12, True)
    assert not use_manual_attention("cpu", torch.float32, 12, True)
    assert not use_manual_attention("cpu", torch.bfloat16, 12, False)
    assert not use_manual_attention("cuda", torch.bfloat16, 12, True)
    assert not use_manual_attention("cpu", torch.bfloat16, attention.LONGEST_WRITTEN_OUT + 1, True)


@pytest.mark.parametrize(("causal", "own"), [(True, None), (False, None), (False, OWN)])
@pytest.mark.parametrize("each", [True, False])
def test_a_prefix_written_out_equals_the_fused_kernel(
    qkv: torch.Tensor, monkeypatch: pytest.MonkeyPatch, causal: bool, own: torch.Tensor | None, each: bool
) -> None:
    shape = (6, 3, WIDTH) if each else (3, WIDTH)
    drawn = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    key, value = drawn.unbind()
    made, grads = [], []
    for chosen in (False, True):
        monkeypatch.setattr(attention, "use_manual_attention", lambda *facts, chosen=chosen: chosen)
        inputs = [tensor.clone().requires_grad_(True) for tensor in (qkv, key, value)]
        made.append(attend(inputs[0], GROUPS, HEADS, causal, prefix=(inputs[1], inputs[2]), own=own))
        grads.append(torch.autograd.grad(made[-1].square().sum(), inputs))
    torch.testing.assert_close(made[1], made[0])
    torch.testing.assert_close(grads[1], grads[0])
    assert (made[0] - oracle(qkv, causal, own)).abs().max() > 1e-2


def test_a_prefix_that_trains_before_keys_that_do_not_is_written_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(attention, "use_manual_attention", lambda *facts: asked.append(facts[-1]))
    fixed, prefix = torch.zeros(S, 3 * WIDTH), torch.zeros(3, WIDTH, requires_grad=True)
    attend(fixed, GROUPS, HEADS, True, prefix=(prefix, prefix))
    with torch.no_grad():
        attend(fixed, GROUPS, HEADS, True, prefix=(prefix, prefix))
    attend(fixed, GROUPS, HEADS, True)
    assert asked == [True, False, False]
