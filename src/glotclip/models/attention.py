"""Attention over packed sequences, group by group of equal length, with a mask only where nothing else will do.

Shapes: S tokens laid end to end, G sequences in a group, T tokens of each, W width, H heads, D = W / H, B sequences,
P keys and values put before every sequence's own.

Which implementation runs is decided by :func:`use_manual_attention`, from measurements that ``benchmarks/`` repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel


class Group(NamedTuple):
    """``size`` consecutive sequences of ``length`` tokens each (a shorter text may be padded up to it)."""

    size: int
    length: int


def use_manual_attention(device: str, dtype: torch.dtype, length: int, gradient: bool) -> bool:
    """Whether attention is written out as matrix products instead of torch's fused kernel.

    The fused kernel's backward on a processor in bf16 takes five times as long as three small products, at every
    length that texts have; everywhere else the fused one is as fast or faster.
    """
    return device == "cpu" and gradient and dtype == torch.bfloat16 and length <= LONGEST_WRITTEN_OUT


LONGEST_WRITTEN_OUT = 128

# Not cuDNN's: it builds a plan for every shape it meets, and packed batches hardly ever repeat one, so that training
# in bf16 was ten times slower than in fp32. Nor FlashAttention's: slower on short texts (benchmarks/accelerator.py).
CUDA_KERNELS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]

Prefix = tuple[torch.Tensor, torch.Tensor]


def attend(
    qkv: torch.Tensor,
    groups: Sequence[Group],
    heads: int,
    causal: bool,
    *,
    prefix: Prefix | None = None,
    own: torch.Tensor | None = None,
) -> torch.Tensor:
    """Scaled dot-product attention within each sequence.

    Args:
        qkv: queries, keys and values (S, 3W).
        groups: how the S tokens divide into sequences.
        heads: H.
        causal: whether a token sees only those before it, and itself.
        prefix: keys and values (P, W) that every token sees before those of its sequence; or (B, P, W), in the order
            of the groups, where sequences have their own.
        own: bool (S,), false for padding, which nobody sees then; only without ``causal``.

    Returns:
        (S, W).
    """
    taught = qkv.requires_grad or (prefix is not None and prefix[0].requires_grad)
    longest = max((length for _, length in groups), default=0)
    written = use_manual_attention(qkv.device.type, qkv.dtype, longest, taught and torch.is_grad_enabled())
    if prefix is None and written:
        out: torch.Tensor = WrittenOut.apply(qkv, groups, heads, causal, own)  # type: ignore[no-untyped-call]
        return out
    sizes = [size * length for size, length in groups]
    filler = qkv.shape[0] - sum(sizes)
    pieces = torch.split(qkv, [*sizes, filler] if filler else sizes) if len(sizes) > 1 or filler else (qkv,)
    owns = (None,) * len(sizes) if own is None else torch.split(own[: sum(sizes)], sizes)
    outs = []
    sequence = 0
    for (size, length), piece, mine in zip(groups, pieces, owns, strict=False):
        # (G·T, 3W) → three times (G, H, T, D), all of them views
        query, key, value = piece.view(size, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if mine is None else mine.view(size, 1, 1, length)
        if prefix is not None:
            if causal:
                mask = torch.ones(length, length, dtype=torch.bool, device=qkv.device).tril_()
            key, value, mask = _prepend(_of_group(prefix, sequence, size), key, value, mask)
        sequence += size
        if written:
            attended = _products(query, key, value, mask)
        else:
            attended = fused(query, key, value, mask, causal=causal and mask is None)
        outs.append(attended.transpose(1, 2).reshape(size * length, -1))
    if filler:
        outs.append(qkv.new_zeros(filler, qkv.shape[1] // 3))
    return torch.cat(outs) if len(outs) > 1 else outs[0]


def fused(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    *,
    causal: bool = False,
) -> torch.Tensor:
    """Torch's fused attention (G, H, T, D); on a CUDA device by :data:`CUDA_KERNELS` alone."""
    if query.device.type != "cuda":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    with sdpa_kernel(CUDA_KERNELS):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)


def _products(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Attention (G, H, T, D) as matrix products, for keys and values that a prefix has lengthened."""
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.mT)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.matmul(scores.softmax(-1), value)


def _of_group(prefix: Prefix, sequence: int, size: int) -> Prefix:
    """The part of a prefix that is a group's, where sequences have their own."""
    if prefix[0].dim() == 2:
        return prefix
    return prefix[0][sequence : sequence + size], prefix[1][sequence : sequence + size]


def _prepend(
    prefix: Prefix, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Put P keys and values, which all see, before those of each sequence (G, H, T, D) and in the mask (…, T)."""
    size, heads, _, depth = key.shape
    count = prefix[0].shape[-2]

    def before(first: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
        split = first.to(rest.dtype).view(-1, count, heads, depth).transpose(1, 2)  # (G or 1, H, P, D)
        return torch.cat([split.expand(size, -1, -1, -1), rest], dim=2)

    mask = None if mask is None else F.pad(mask, (count, 0), value=True)
    return before(prefix[0], key), before(prefix[1], value), mask


class WrittenOut(torch.autograd.Function):
    """The same attention as matrix products, with a backward that fills one gradient of all groups."""

    @staticmethod
    def forward(
        ctx: Any, qkv: torch.Tensor, groups: Sequence[Group], heads: int, causal: bool, own: torch.Tensor | None
    ) -> torch.Tensor:
        """Return (S, W) from (S, 3W), keeping the attention weights."""
        out = qkv.new_empty(len(qkv), qkv.shape[1] // 3)
        kept = []
        start = 0
        for size, length in groups:
            stop = start + size * length
            query, key, value = _heads_first(qkv[start:stop], size, length, heads)
            weights = _weights(query, key, causal, None if own is None else own[start:stop].view(size, 1, length))
            attended = torch.bmm(weights, value).view(size, heads, length, -1)
            out[start:stop].view(size, length, heads, -1).copy_(attended.transpose(1, 2))
            kept.append(weights)
            start = stop
        out[start:] = 0  # filler, which belongs to no group, must stay finite
        ctx.save_for_backward(qkv, *kept)
        ctx.groups, ctx.heads = groups, heads
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None]:
        """Gradient of queries, keys and values (S, 3W): softmax's is P ∘ (dP − rowsum(dP ∘ P))."""
        qkv, *kept = ctx.saved_tensors
        heads = ctx.heads
        grads = torch.empty_like(qkv)
        start = 0
        for (size, length), weights in zip(ctx.groups, kept, strict=True):
            stop = start + size * length
            query, key, value = _heads_first(qkv[start:stop], size, length, heads)
            out = grad[start:stop].view(size, length, heads, -1).transpose(1, 2).reshape(size * heads, length, -1)
            scores = torch._softmax_backward_data(torch.bmm(out, value.mT), weights, -1, weights.dtype)
            scores.mul_(query.shape[-1] ** -0.5)
            parts = (torch.bmm(scores, key), torch.bmm(scores.mT, query), torch.bmm(weights.mT, out))
            into = grads[start:stop].view(size, length, 3, heads, -1)
            for index, part in enumerate(parts):
                into[:, :, index].copy_(part.view(size, heads, length, -1).transpose(1, 2))
            start = stop
        grads[start:] = 0
        return grads, None, None, None, None


def _heads_first(qkv: torch.Tensor, size: int, length: int, heads: int) -> torch.Tensor:
    """(G·T, 3W) → (3, G·H, T, D), contiguous."""
    split = qkv.view(size, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
    return split.reshape(3, size * heads, length, -1)


def _weights(query: torch.Tensor, key: torch.Tensor, causal: bool, own: torch.Tensor | None) -> torch.Tensor:
    """Softmax of the scaled scores (G·H, T, T), over the keys that are ``own`` (G, 1, T)."""
    scale = query.shape[-1] ** -0.5
    if not causal:
        scores = torch.bmm(query, key.mT).mul_(scale)
        if own is not None:
            scores.view(len(own), -1, *scores.shape[1:]).masked_fill_(~own[:, None], float("-inf"))
        return scores.softmax(-1)
    length = query.shape[1]
    later = torch.full((length, length), float("-inf"), dtype=query.dtype, device=query.device).triu_(1)
    return torch.baddbmm(later[None], query, key.mT, alpha=scale).softmax(-1)


def attend_at(
    query: torch.Tensor,
    keys_values: torch.Tensor,
    groups: Sequence[Group],
    last: torch.Tensor | None,
    heads: int,
    *,
    prefix: Prefix | None = None,
) -> torch.Tensor:
    """Attention for a single query of each sequence.

    Args:
        query: (B, W), in the order of the groups.
        keys_values: (S, 2W).
        groups: how the S tokens divide into the B sequences.
        last: where each sequence ends among the S tokens (B,): later tokens of its group are padding, not seen.
            None: all tokens are seen.
        heads: H.
        prefix: keys and values (P, W) that every query sees before those of its sequence; or (B, P, W).

    Returns:
        (B, W).
    """
    outs = []
    sequence = token = 0
    for size, length in groups:
        stop = token + size * length
        # (G, H, 1, D); twice (G, H, T, D)
        asked = query[sequence : sequence + size].view(size, heads, 1, -1)
        key, value = keys_values[token:stop].view(size, length, 2, heads, -1).permute(2, 0, 3, 1, 4)
        mask = None
        if last is not None:
            positions = torch.arange(token, stop, device=query.device).view(size, length)
            mask = (positions <= last[sequence : sequence + size, None])[:, None, None, :]
        if prefix is not None:
            key, value, mask = _prepend(_of_group(prefix, sequence, size), key, value, mask)
        outs.append(fused(asked, key, value, mask).reshape(size, -1))
        sequence += size
        token = stop
    return torch.cat(outs) if len(outs) > 1 else outs[0]
