"""Ridge regression against the closed form, and where it is nearly undetermined."""

from __future__ import annotations

import torch

from glotclip.methods.ridge import Ridge


def test_ridge_regression_is_the_textbooks() -> None:
    """Against the closed form on centred data, and against no penalty at all where the map is exact."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(50, 6, generator=draw) + 3, torch.randn(50, 4, generator=draw) - 2
    ridge = Ridge(6, 4)
    ridge.add(x[:20], y[:20])
    ridge.add(x[20:], y[20:])
    weight, bias = ridge.solved(0.5)
    centred, aim = (x - x.mean(0)).double(), (y - y.mean(0)).double()
    square = centred.T @ centred
    want = torch.linalg.solve(square + 0.5 * square.diagonal().mean() * torch.eye(6).double(), centred.T @ aim).T
    torch.testing.assert_close(weight, want.float())
    torch.testing.assert_close(bias, (y.mean(0).double() - want @ x.mean(0).double()).float(), atol=1e-5, rtol=1e-5)
    exact = Ridge(6, 4)
    exact.add(x, x @ weight.T + 1)
    again, ones = exact.solved(1e-12)
    torch.testing.assert_close(again, weight, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(ones, torch.ones(4), atol=1e-3, rtol=0)


def test_ridge_with_fewer_texts_than_dimensions_or_all_alike_is_finite() -> None:
    for rows in (torch.randn(2, 40), torch.ones(5, 40)):
        ridge = Ridge(40, 3)
        ridge.add(rows, torch.randn(len(rows), 3))
        assert all(torch.isfinite(each).all() for each in ridge.solved(0.1))
