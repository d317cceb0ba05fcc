"""What becomes of linear maps, convolutions and what depends on weights alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from glotclip.onnx.encoder import open_session
from glotclip.onnx.quantise import fold, quantise

pytestmark = pytest.mark.slow


class Net(nn.Module):
    """A convolution, and a map whose weights are a product of weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.map = nn.Conv2d(3, 8, 3), nn.Linear(8, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(self.conv(x).mean((2, 3)), self.map.weight * 1.702, self.map.bias)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("net")
    program: Any = torch.onnx.export(Net().eval(), (torch.zeros(1, 3, 9, 9),), dynamo=True, verbose=False)
    program.save(root / "raw.onnx")
    fold(root / "raw.onnx", root / "folded.onnx")
    quantise(root / "folded.onnx", root / "small.onnx")
    return root


def kinds(path: Path) -> list[str]:
    import onnx

    return [node.op_type for node in onnx.load(path).graph.node]


def test_what_depends_on_weights_alone_is_computed_once(folder: Path) -> None:
    assert "Mul" not in kinds(folder / "folded.onnx")


def test_linear_maps_become_integers_and_convolutions_stay(folder: Path) -> None:
    found = kinds(folder / "small.onnx")
    assert "MatMulInteger" in found and "Conv" in found and "ConvInteger" not in found
    assert not list(folder.glob("*.prepared.onnx"))


def test_all_three_compute_the_same(folder: Path) -> None:
    pixels = np.random.default_rng(0).standard_normal((1, 3, 9, 9)).astype(np.float32)
    expected = Net()(torch.from_numpy(pixels)).detach().numpy()
    for name, error in (("raw", 1e-6), ("folded", 1e-6), ("small", 0.05)):
        session = open_session(folder / f"{name}.onnx")
        (got,) = session.run(None, {session.get_inputs()[0].name: pixels})
        assert got == pytest.approx(expected, abs=error)
