"""The fingerprint of a set of weights: equal exactly when every tensor is equal, bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def fingerprint(tensors: Mapping[str, torch.Tensor], **identity: str) -> str:
    """Return ``sha256:<32 hex digits>`` over names, dtypes, shapes and bytes, in the order of the names.

    Args:
        tensors: the weights, by name.
        identity: further facts that change what the model computes, such as preprocessing or the tokenizer.
    """
    import torch

    digest = hashlib.sha256()
    for key in sorted(identity):
        digest.update(f"{key}={identity[key]}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{digest.hexdigest()[:32]}"
