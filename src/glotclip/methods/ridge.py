"""Ridge regression in one pass over the data: a linear map with bias, in closed form.

    min over P, b:  Σ_i ‖P h_i + b − a_i‖²  +  λ σ ‖P‖²,    σ the mean variance of h's W numbers, times N

Shapes: N pairs, W width of what is mapped, E width of what it is mapped to.
"""

from __future__ import annotations

import torch


class Ridge:
    """Ridge regression from (N, W) to (N, E) with an intercept, of which sums alone are kept, in float64."""

    def __init__(self, width: int, embed_dim: int) -> None:
        size = width + 1
        self._width = width
        self._squares = torch.zeros(size, size, dtype=torch.float64)
        self._products = torch.zeros(size, embed_dim, dtype=torch.float64)

    def add(self, hidden: torch.Tensor, targets: torch.Tensor) -> None:
        """Take in pairs of rows."""
        rows = torch.cat([hidden.double(), torch.ones(len(hidden), 1, dtype=torch.float64)], dim=1)
        self._squares += rows.T @ rows
        self._products += rows.T @ targets.double()

    def solved(self, ridge: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The map (E, W) and its bias (E,), float32; the penalty is ``ridge`` times the mean variance."""
        count = self._squares[-1, -1]
        mean, aim = self._squares[-1, :-1] / count, self._products[-1] / count
        spread = self._squares[:-1, :-1] / count - torch.outer(mean, mean)
        both = self._products[:-1] / count - torch.outer(mean, aim)
        penalty = ridge * spread.diagonal().mean().clamp(min=torch.finfo(torch.float64).tiny)
        weight = torch.linalg.solve(spread + penalty * torch.eye(self._width, dtype=torch.float64), both).T
        return weight.float(), (aim - weight @ mean).float()
