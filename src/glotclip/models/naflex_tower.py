"""The image tower of SigLIP 2 in its NaFlex form: images of any aspect ratio, as rows of patches.

Shapes: N images, R rows (one more than the most patches of an image), P patches of one image, p the side of a
patch, W width, E embedding.

An image is scaled so that its patches are as many as allowed while its aspect ratio stays (Tschannen et al. 2025,
§ 2.4.2). Its rows are a header with its height and width in patches, the patches, and zeros. Each image is computed
at its own length, so what fills up the rows is never seen and no mask is needed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.models.attention import Group
from glotclip.models.blocks import Activation, Block
from glotclip.models.vision_tower import AttentionPool


@dataclass(frozen=True)
class NaflexConfig:
    """Geometry of the tower; the defaults are those of SigLIP 2 B/16. Features are as wide as the tower."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_width: int = 3072
    patch_size: int = 16
    patches: int = 256
    activation: Activation = "gelu_tanh"
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} does not divide by {self.heads} heads", hint="correct it")
        if round(self.patches**0.5) ** 2 != self.patches:
            raise ConfigError(
                f"positions of {self.patches} patches are no square", hint="use the configuration of the checkpoint"
            )


class NaflexTower(nn.Module):
    """ViT over the patches of images of any shape, pooled by a learnt query."""

    def __init__(self, config: NaflexConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_dim = width = config.width
        self.patch = nn.Linear(3 * config.patch_size**2, width)
        self.positions = nn.Parameter(torch.randn(config.patches, width) * 0.02)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_width, config.activation, config.norm_eps)
            for _ in range(config.layers)
        )
        self.post_norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.head = AttentionPool(width, config.heads, config.mlp_width, config.activation, config.norm_eps)

    @property
    def identity(self) -> str:
        """The geometry."""
        return json.dumps({"kind": "naflex", **asdict(self.config)}, sort_keys=True)

    def forward(self, pixels: torch.Tensor, *, precision: torch.dtype | None = None) -> torch.Tensor:
        """Encode images as unnormalised features float32 (N, E).

        Args:
            pixels: float32 (N, R, 3·p²), as :meth:`glotclip.models.preprocess.Preprocess.load` gives them.
            precision: dtype of the linear maps and of attention; by default the weights' own.
        """
        if pixels.dim() != 3 or pixels.shape[2] != self.patch.in_features:
            raise ConfigError(
                f"pixels of shape {tuple(pixels.shape[1:])}, but this tower reads rows of {self.patch.in_features}",
                hint="load images with the base's own preprocess",
            )
        dtype = precision or self.positions.dtype
        grids = [(int(height), int(width)) for height, width in pixels[:, 0, :2].tolist()]
        groups = [Group(1, height * width) for height, width in grids]
        hidden = torch.cat(
            [
                self.patch(image[1 : 1 + group.length]) + self._positions(*grid)
                for image, grid, group in zip(pixels, grids, groups, strict=True)
            ]
        )
        for block in self.blocks:
            hidden = block(hidden, groups, False, dtype)
        hidden = self.post_norm(hidden)
        parts = hidden.split([group.length for group in groups])
        return torch.cat([self.head(part[None]) for part in parts]) if parts else hidden.new_zeros(0, self.embed_dim)

    def _positions(self, height: int, width: int) -> torch.Tensor:
        """The learnt square of positions, scaled to an image's patches (P, W)."""
        side = round(self.config.patches**0.5)
        # Contiguous: for channels that lie innermost torch 2.13 scales to a width of one wrongly.
        square = self.positions.view(1, side, side, -1).permute(0, 3, 1, 2).contiguous()
        scaled = F.interpolate(
            square.float(), size=(height, width), mode="bilinear", align_corners=False, antialias=True
        )
        return scaled.to(square.dtype).flatten(2)[0].T
