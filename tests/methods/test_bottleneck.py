"""The bottleneck's formula under every activation, with and without the residual."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from glotclip.methods.bottleneck import ACTIVATIONS, Activation, Bottleneck


def gelu(x: float) -> float:
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def gelu_tanh(x: float) -> float:
    return x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    ("name", "function"), [("relu", lambda x: max(0.0, x)), ("gelu", gelu), ("gelu_tanh", gelu_tanh)]
)
def test_the_formula(name: Activation, function: Callable[[float], float], residual: bool) -> None:
    layer = Bottleneck(6, 3, name, residual=residual)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(generator=generator)
        x = torch.randn(4, 6, generator=generator)
        for row, got in zip(x, layer(x), strict=True):
            inner = [function(float(value)) for value in layer.down @ row + layer.down_bias]
            expected = layer.up @ torch.tensor(inner) + layer.up_bias + (row if residual else 0)
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
        assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_every_activation_is_tested_and_they_differ() -> None:
    x = torch.linspace(-2, 2, 9)
    values = {name: act(x) for name, act in ACTIVATIONS.items()}
    assert set(values) == {"relu", "gelu", "gelu_tanh"}
    assert not torch.equal(values["gelu"], values["gelu_tanh"])
