"""The text transformer of CLIP and SigLIP, block by block, with named places for a language's pathway.

Shapes: B texts, T tokens, W width, H heads, E embedding, V vocabulary rows.

CLIP (Radford et al. 2021, § 2.4) attends causally and reads the text off its end token, so what follows the end
cannot matter: texts are computed in groups of similar length, each trimmed to its longest, and the last block
computes only the end token's queries and MLP. SigLIP (Zhai et al. 2023) attends both ways, padding included, and
reads the last position of the padded text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.models.blocks import Activation, Block
from glotclip.models.packing import Layout, pack
from glotclip.models.pathway import Pathway


@dataclass(frozen=True)
class TextConfig:
    """Geometry of a text tower; the defaults are those of CLIP ViT-B/32."""

    width: int = 512
    layers: int = 12
    heads: int = 8
    mlp_width: int = 2048
    vocab_size: int = 49_408
    context_length: int = 77
    embed_dim: int = 512
    activation: Activation = "quick_gelu"
    causal: bool = True
    pooling: Literal["eot", "last"] = "eot"
    norm_eps: float = 1e-5
    projection_bias: bool = False

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(
                f"width {self.width} is not divisible by {self.heads} heads", hint="correct the geometry"
            )
        if self.pooling == "eot" and not self.causal:
            raise ConfigError("pooling at the end token needs causal attention", hint="use pooling='last'")


class TextTower(nn.Module):
    """Token ids to text features.

    Its parameters are ordinary ones: a base is trained with gradients on all of them, a language with all of them
    frozen but its own. Frozen blocks keep one low-precision copy of their weights and take no weight gradients.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.table = nn.Parameter(torch.empty(config.vocab_size, config.width))
        self.positions = nn.Parameter(torch.empty(config.context_length, config.width))
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_width, config.activation, config.norm_eps)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.projection = nn.Linear(config.width, config.embed_dim, bias=config.projection_bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights as CLIP does (Radford et al. 2021; deeper towers get smaller residual writers)."""
        config = self.config
        narrow = config.width**-0.5 * (2 * config.layers) ** -0.5
        nn.init.normal_(self.table, std=0.02)
        nn.init.normal_(self.positions, std=0.01)
        for block in self.blocks:
            assert isinstance(block, Block)
            nn.init.normal_(block.qkv.weight, std=config.width**-0.5)
            nn.init.normal_(block.out.weight, std=narrow)
            nn.init.normal_(block.up.weight, std=(2 * config.width) ** -0.5)
            nn.init.normal_(block.down.weight, std=narrow)
            for linear in (block.qkv, block.out, block.up, block.down):
                nn.init.zeros_(linear.bias)
        nn.init.normal_(self.projection.weight, std=config.width**-0.5)
        if config.projection_bias:
            nn.init.zeros_(self.projection.bias)

    @property
    def trims(self) -> bool:
        """Whether a batch may be trimmed to its longest text without changing any feature."""
        return self.config.causal and self.config.pooling == "eot"

    def forward(
        self,
        ids: torch.Tensor,
        lengths: torch.Tensor,
        pathway: Pathway | None = None,
        *,
        precision: torch.dtype | None = None,
    ) -> torch.Tensor:
        """Encode a batch of texts.

        Args:
            ids: int64 (B, T), padded; T must be the context length where :attr:`trims` is false.
            lengths: int64 (B,), tokens of each text including the end token.
            pathway: what a language adds; None is the base's own path without an extra operation. What it is
                handed is packed: one row (1, S) of all the batch's tokens, and (1, B, W) after the last block.
            precision: dtype of the linear maps and of attention; the residual stream and norms stay float32. By
                default that of an enclosing ``torch.autocast``, else the weights' own.

        Returns:
            Unnormalised features float32 (B, E).
        """
        device_type = ids.device.type
        if precision is None:
            ambient = torch.is_autocast_enabled(device_type)
            precision = torch.get_autocast_dtype(device_type) if ambient else self.table.dtype
        if not len(ids):
            return self.table.new_zeros(0, self.config.embed_dim)
        layout = self._layout(ids, lengths, coarse=device_type == "cpu" and precision != torch.float32)
        hidden = self._embed(ids, layout, pathway)
        # What computes in low precision is decided here; autocast would only look at each operation once more.
        with torch.autocast(device_type, enabled=False):
            final = len(self.blocks) - 1
            for k, block in enumerate(self.blocks):
                assert isinstance(block, Block)
                if k < final:
                    hidden = block(hidden, layout.groups, self.config.causal, precision)
                else:
                    hidden = block.pooled(hidden, layout.groups, layout.queries, self.config.causal, precision)
                if pathway is not None:
                    hidden = pathway.after_block(k, hidden[None])[0]
            features: torch.Tensor = self.projection(self.norm(hidden.to(self.norm.weight.dtype)))
            return features.index_select(0, layout.restore)

    def _embed(self, ids: torch.Tensor, layout: Layout, pathway: Pathway | None) -> torch.Tensor:
        """Look up the packed tokens and add their positions: (S, W)."""
        packed = ids.reshape(-1).index_select(0, layout.source)
        embedded = F.embedding(packed, self.table) if pathway is None else pathway.embed(packed[None], self.table)[0]
        return embedded + F.embedding(layout.position, self.positions)

    def _layout(self, ids: torch.Tensor, lengths: torch.Tensor, coarse: bool) -> Layout:
        width = ids.shape[1]
        if width > self.config.context_length:
            raise ConfigError(
                f"texts of {width} tokens, but the tower has {self.config.context_length} positions",
                hint="tokenise with this base's tokenizer, which cuts texts to the context",
            )
        if self.trims:
            return pack(lengths, width, coarse=coarse)
        if width != self.config.context_length:
            raise ConfigError(
                f"this tower attends to padding: texts must be padded to {self.config.context_length}, not {width}",
                hint="pass to=tower.config.context_length to Tokens.padded",
            )
        return pack(torch.full_like(lengths, width), width)
