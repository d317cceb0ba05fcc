"""Image towers: what they must do, and the vision transformer of CLIP and SigLIP.

Shapes: N images, H × W pixels, P patches of an image (the class token included), D width, E embedding.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.models.attention import Group
from glotclip.models.blocks import Activation, Block


@runtime_checkable
class ImageTower(Protocol):
    """Anything that turns pixels into features of the space the text tower maps into."""

    embed_dim: int

    @property
    def identity(self) -> str:
        """What decides the features besides the state dict: geometry, or weights kept elsewhere."""

    def __call__(self, pixels: torch.Tensor, *, precision: torch.dtype | None = None) -> torch.Tensor:
        """Encode pixels float32 (N, 3, H, W) as unnormalised features (N, E)."""


@dataclass(frozen=True)
class VisionConfig:
    """Geometry of a vision transformer; the defaults are those of CLIP ViT-B/32.

    ``pooling="class"`` is CLIP's (class token, norm before the blocks, projection); ``"attention"`` is SigLIP's
    (no class token, a learnt query attends to all patches; E equals the width).
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_width: int = 3072
    image_size: int = 224
    patch_size: int = 32
    embed_dim: int = 512
    activation: Activation = "quick_gelu"
    pooling: Literal["class", "attention"] = "class"
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} does not divide by {self.heads} heads", hint="correct it")
        if self.pooling == "attention" and self.embed_dim != self.width:
            raise ConfigError("an attention-pooled tower has no projection", hint="set embed_dim to the width")

    @property
    def patches(self) -> int:
        """Patches of one image, without the class token; an incomplete row at the edge is left out."""
        return (self.image_size // self.patch_size) ** 2


class VisionTransformer(nn.Module):
    """ViT (Dosovitskiy et al. 2021) as CLIP and SigLIP have it."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_dim = config.embed_dim
        width, eps, classed = config.width, config.norm_eps, config.pooling == "class"
        self.patch = nn.Conv2d(3, width, config.patch_size, stride=config.patch_size, bias=not classed)
        self.positions = nn.Parameter(torch.randn(config.patches + classed, width) * 0.02)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_width, config.activation, eps) for _ in range(config.layers)
        )
        self.post_norm = nn.LayerNorm(width, eps=eps)
        if classed:
            self.class_token = nn.Parameter(torch.randn(width) * 0.02)
            self.pre_norm = nn.LayerNorm(width, eps=eps)
            self.projection = nn.Linear(width, config.embed_dim, bias=False)
        else:
            self.head = AttentionPool(width, config.heads, config.mlp_width, config.activation, eps)

    @property
    def identity(self) -> str:
        """The geometry."""
        return json.dumps(asdict(self.config), sort_keys=True)

    def forward(self, pixels: torch.Tensor, *, precision: torch.dtype | None = None) -> torch.Tensor:
        """Encode pixels (N, 3, H, W) as unnormalised features float32 (N, E).

        Args:
            pixels: preprocessed images, H = W = ``config.image_size``.
            precision: dtype of the linear maps and of attention; by default the weights' own.
        """
        size = self.config.image_size
        if pixels.shape[1:] != (3, size, size):
            raise ConfigError(
                f"pixels of shape {tuple(pixels.shape[1:])}, but this tower reads (3, {size}, {size})",
                hint="load images with the base's own preprocess",
            )
        dtype = precision or self.positions.dtype
        count = pixels.shape[0]
        patches = self.patch(pixels).flatten(2).transpose(1, 2)  # (N, P, D)
        if self.config.pooling == "class":
            token = self.class_token.expand(count, 1, -1)
            hidden = self.pre_norm(torch.cat([token, patches], dim=1) + self.positions)
        else:
            hidden = patches + self.positions
        length = hidden.shape[1]
        hidden = hidden.reshape(count * length, -1)
        groups = [Group(count, length)]
        classed = self.config.pooling == "class"
        for block in self.blocks[: -1 if classed else None]:
            hidden = block(hidden, groups, False, dtype)
        if classed:
            final = self.blocks[-1]
            assert isinstance(final, Block)
            rows = torch.arange(0, count * length, length, device=hidden.device)
            features: torch.Tensor = self.projection(self.post_norm(final.pooled(hidden, groups, rows, False, dtype)))
        else:
            features = self.head(self.post_norm(hidden).view(count, length, -1))
        return features


class AttentionPool(nn.Module):
    """SigLIP's head: one learnt query attends to all patches, then an MLP with a residual (Zhai et al. 2023)."""

    def __init__(self, width: int, heads: int, mlp_width: int, activation: Activation, norm_eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.activation = activation
        self.probe = nn.Parameter(torch.randn(width) * 0.02)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.up = nn.Linear(width, mlp_width)
        self.down = nn.Linear(mlp_width, width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Pool (N, P, D) to (N, D)."""
        count, _, width = hidden.shape
        query = F.linear(self.probe, self.qkv.weight[:width], self.qkv.bias[:width]).repeat(count, 1)
        key, value = (
            F.linear(hidden, self.qkv.weight[width:], self.qkv.bias[width:]).view(count, -1, 2, width).unbind(2)
        )
        # (N, heads, 1 or P, D / heads)
        asked, keys, values = (
            x.reshape(count, -1, self.heads, width // self.heads).transpose(1, 2) for x in (query, key, value)
        )
        pooled = F.scaled_dot_product_attention(asked, keys, values).transpose(1, 2).flatten(1)
        pooled = self.out(pooled)
        inner = self.up(self.norm(pooled))
        if self.activation == "quick_gelu":
            inner = inner * torch.sigmoid(1.702 * inner)
        else:
            inner = F.gelu(inner, approximate="tanh" if self.activation == "gelu_tanh" else "none")
        result: torch.Tensor = pooled + self.down(inner)
        return result
