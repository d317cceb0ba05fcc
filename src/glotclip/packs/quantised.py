"""Tables of many rows in few bytes a row: halves, 8-bit numbers with a scale a row, or product quantisation.

Product quantisation (Jégou, Douze & Schmid 2011) cuts a row into S pieces and stores, of each, which of 256
centroids is nearest; centroids are found by k-means over the rows of the table. What is no table (fewer than
:data:`FEWEST` rows) is stored in halves by either.

Shapes: K rows, W width, S pieces of a row, each of W / S numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch

from glotclip.errors import PackError

Store = Literal["fp32", "fp16", "int8", "pq"]
FEWEST = 1024  # rows of a tensor that is stored as a table: below that, centroids would take more than they spare
CENTROIDS, ROUNDS, SAMPLE = 256, 12, 8_192
_CODES, _SCALE, _CENTROIDS = "#codes", "#scale", "#centroids"


def stored(tensors: Mapping[str, torch.Tensor], store: Store, row_bytes: int) -> dict[str, torch.Tensor]:
    """What is written of a pack's tensors.

    Args:
        tensors: on the processor, by name.
        store: how; integers stay as they are.
        row_bytes: of "pq": S. A table whose width is no multiple of it is stored as "int8".
    """
    found: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        table = tensor.dim() == 2 and len(tensor) >= FEWEST
        if not tensor.is_floating_point() or store == "fp32":
            found[name] = tensor
        elif store == "fp16" or not table:
            found[name] = tensor.half()
        elif store == "pq" and tensor.shape[1] % row_bytes == 0:
            codes, centroids = _product_quantised(tensor.float(), row_bytes)
            found |= {name + _CODES: codes, name + _CENTROIDS: centroids.half()}
        else:
            scale = (tensor.abs().amax(dim=1, keepdim=True) / 127).clamp(min=1e-12).half().clamp(min=6e-8)
            codes = (tensor / scale.float()).round().clamp(-127, 127).to(torch.int8)
            found |= {name + _CODES: codes, name + _SCALE: scale}
    return found


def restored(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a pack from what :func:`stored` made of them.

    Raises:
        PackError: if parts of a table do not belong together.
    """
    found = {name: tensor for name, tensor in tensors.items() if "#" not in name}
    for name in (name.removesuffix(_CODES) for name in tensors if name.endswith(_CODES)):
        codes = tensors[name + _CODES]
        scale, centroids = tensors.get(name + _SCALE), tensors.get(name + _CENTROIDS)
        if codes.dim() == 2 and scale is not None and scale.shape == (len(codes), 1):
            found[name] = codes.float() * scale.float()
        elif codes.dim() == 2 and centroids is not None and centroids.shape[:2] == (codes.shape[1], CENTROIDS):
            pieces = torch.arange(codes.shape[1])
            found[name] = centroids.float()[pieces, codes.long()].flatten(1)
        else:
            raise PackError(f"the table {name} is not whole", hint="get the pack again")
    return found


def _product_quantised(table: torch.Tensor, pieces: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes uint8 (K, S) and centroids (S, 256, W / S) of a table (K, W); the same table always gives the same."""
    generator = torch.Generator().manual_seed(0)
    sample = table[torch.randperm(len(table), generator=generator)[:SAMPLE]]
    cut, whole = (rows.reshape(len(rows), pieces, -1).transpose(0, 1).contiguous() for rows in (sample, table))
    first = torch.randperm(cut.shape[1], generator=generator)[:CENTROIDS]
    centroids = cut[:, first].clone()
    for _ in range(ROUNDS):
        nearest = _nearest(cut, centroids)
        for piece in range(pieces):
            sums = torch.zeros_like(centroids[piece]).index_add_(0, nearest[piece], cut[piece])
            counts = torch.bincount(nearest[piece], minlength=CENTROIDS)[:, None]
            centroids[piece] = torch.where(counts > 0, sums / counts.clamp(min=1), centroids[piece])
    centroids = centroids.half().float()  # as they will be read
    return _nearest(whole, centroids).T.to(torch.uint8).contiguous(), centroids


def _nearest(rows: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """Of each piece (S, K, D), the nearest centroid of its own (S, 256, D): (S, K)."""
    found = []
    for piece, own in zip(rows, centroids, strict=True):
        likeness = torch.addmm(-own.square().sum(dim=1), piece, own.T, alpha=2)
        found.append(torch.from_numpy(likeness.numpy().argmax(axis=1)))  # some forty times as fast as torch's
    return torch.stack(found)
