"""Attention over packed sequences, group by group of equal length, without masks.

Shapes: S tokens laid end to end, G sequences in a group, T tokens of each, W width, H heads, D = W / H, B sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F


class Group(NamedTuple):
    """``size`` consecutive sequences of ``length`` tokens each (a shorter text may be padded up to it)."""

    size: int
    length: int


def attend(qkv: torch.Tensor, groups: Sequence[Group], heads: int, causal: bool) -> torch.Tensor:
    """Scaled dot-product attention within each sequence: queries, keys, values (S, 3W) → (S, W)."""
    sizes = [count * length for count, length in groups]
    pieces = torch.split(qkv, sizes) if len(sizes) > 1 else (qkv,)
    outs = []
    for (count, length), piece in zip(groups, pieces, strict=True):
        # (G·T, 3W) → three times (G, H, T, D), all of them views
        query, key, value = piece.view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
        outs.append(out.transpose(1, 2).reshape(count * length, -1))
    return torch.cat(outs) if len(outs) > 1 else outs[0]


def attend_at(
    query: torch.Tensor, keys_values: torch.Tensor, groups: Sequence[Group], last: torch.Tensor | None, heads: int
) -> torch.Tensor:
    """Attention for a single query of each sequence.

    Args:
        query: (B, W), in the order of the groups.
        keys_values: (S, 2W).
        groups: how the S tokens divide into the B sequences.
        last: where each sequence ends among the S tokens (B,): later tokens of its group are padding, not seen.
            None: all tokens are seen.
        heads: H.

    Returns:
        (B, W).
    """
    outs = []
    sequence = token = 0
    for count, length in groups:
        size = count * length
        # (G, H, 1, D); twice (G, H, T, D)
        asked = query[sequence : sequence + count].view(count, heads, 1, -1)
        key, value = keys_values[token : token + size].view(count, length, 2, heads, -1).permute(2, 0, 3, 1, 4)
        mask = None
        if last is not None:
            positions = torch.arange(token, token + size, device=query.device).view(count, length)
            seen = positions <= last[sequence : sequence + count, None]
            mask = seen[:, None, None, :]
        out = F.scaled_dot_product_attention(asked, key, value, attn_mask=mask)
        outs.append(out.reshape(count, -1))
        sequence += count
        token += size
    return torch.cat(outs) if len(outs) > 1 else outs[0]
