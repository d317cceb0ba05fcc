"""TEIR: token embedding initialisation and regularisation (CLL-CLIP §3).

Two ideas against forgetting in a table that all languages share. New rows are drawn from the distribution
of the rows already there, so that the frozen blocks see what they know. And a row that earlier languages
use is held back in proportion to how many do.

Shapes: V rows of the whole table, W width.
"""

from __future__ import annotations

import torch


def identical_distribution(table: torch.Tensor, rows: int, generator: torch.Generator) -> torch.Tensor:
    """Draw new rows from N(μ, σ²) with the scalar mean and standard deviation of *all* entries of the table.

    CLL-CLIP §3.1: two scalars, no per-dimension mean and no covariance; the table includes every row that
    earlier languages have trained.

    Args:
        table: the current table (V, W).
        rows: how many rows to draw.
        generator: the source of randomness, on the CPU.

    Returns:
        (rows, W), on the table's device.
    """
    mean, deviation = table.mean(), table.std()  # unbiased, as in the paper's code
    noise = torch.randn(rows, table.shape[1], generator=generator, dtype=table.dtype)
    return noise.to(table.device) * deviation + mean


def fixed_normal(table: torch.Tensor, rows: int, std: float, generator: torch.Generator) -> torch.Tensor:
    """Draw new rows from N(0, std²): what CLL-CLIP does without TEIR (std 0.02)."""
    noise = torch.randn(rows, table.shape[1], generator=generator, dtype=table.dtype)
    return noise.to(table.device) * std


def first_uses(base_rows: int, total_rows: int) -> torch.Tensor:
    """Counter n_j before the first language: 2 for the base's own rows (its pre-training counts), 1 for new ones."""
    uses = torch.ones(total_rows, dtype=torch.int32)
    uses[:base_rows] += 1
    return uses


def damping(uses: torch.Tensor, present: torch.Tensor, special: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """λ_j = 1 / (1 + s·(n_j − 1)) for rows present in the training captions, 0 for the others and special tokens.

    CLL-CLIP §3.2 with strength s = 1, where it is 1/n_j; a larger s weighs every earlier use more. n_j counts the
    languages that have used row j, the current one and the base's pre-training included: at s = 1 a row new to this
    language has λ = 1, a base row first met has 1/2.

    Args:
        uses: counters n_j (V,), the current language counted.
        present: ids that occur in the training captions.
        special: ids of the special tokens.
        strength: s.

    Returns:
        λ (V,) float32.
    """
    factors = torch.zeros(len(uses), dtype=torch.float32)
    factors[present] = 1.0 / (1.0 + strength * (uses[present].float() - 1.0))
    factors[special] = 0.0
    return factors
