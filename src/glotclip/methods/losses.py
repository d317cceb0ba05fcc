"""The losses as pure functions of features.

Shapes: B batch, E embedding. Features are raw (unnormalised) unless said otherwise.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from glotclip.models.dual_encoder import normalised


def cross_lingual_mse(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of a caption's feature to its English counterpart's, over batch *and* dimensions.

        L_cl = 1 / (B·E) · Σ_i ‖z_i − a_i‖²

    CLL-CLIP §2.1, MLA's native language transfer. Both sides are raw: lengths matter as well as directions.

    Args:
        student: z, features of the captions (B, E).
        teacher: a, features of their English counterparts under the frozen base (B, E).
    """
    return F.mse_loss(student, teacher)


def multi_positive_contrastive(
    student: torch.Tensor, images: torch.Tensor, groups: torch.Tensor, temperature: torch.Tensor | float
) -> torch.Tensor:
    """Symmetric InfoNCE between captions and images, in which a batch may hold an image more than once.

        S_ij = cos(z_i, b_j) / τ        Q_ij = [g_i = g_j] / |{k : g_k = g_i}|
        L_cm = −1/(2B) Σ_ij Q_ij (log softmax_j S_ij + log softmax_j S_ji)

    CLL-CLIP §2.2. With all groups distinct it is CLIP's loss. Captions of one image are positives of each
    other instead of false negatives.

    Args:
        student: z, features of the captions (B, E).
        images: b, frozen features of their images (B, E).
        groups: g, equal for rows that show the same image (B,).
        temperature: τ, logits are divided by it.
    """
    logits = normalised(student) @ normalised(images).T / temperature
    same = (groups[:, None] == groups[None, :]).to(logits.dtype)
    targets = same / same.sum(dim=1, keepdim=True)  # symmetric counts, so one Q serves both directions
    by_text = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    by_image = -(targets * logits.T.log_softmax(dim=1)).sum(dim=1).mean()
    return (by_text + by_image) / 2
