"""The fingerprint of a set of weights: equal exactly when every tensor is equal, bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from _typeshed import DataclassInstance


def record_of(settings: DataclassInstance, later: Collection[str]) -> dict[str, Any]:
    """Settings as JSON, from which they can be built again, and which is hashed.

    Fields in ``later`` were added after bases had been fingerprinted. At their defaults they are left out, so that
    the fingerprints of older bases, to which packs are tied, stay what they were.
    """
    usual = {field.name: field.default for field in fields(settings)}
    return {key: value for key, value in asdict(settings).items() if key not in later or value != usual[key]}


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
