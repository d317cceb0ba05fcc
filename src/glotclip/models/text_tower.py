"""The text transformer of CLIP, SigLIP and XLM-R, block by block, with hooks for what a language adds.

Shapes: B texts, T tokens, S packed tokens, W width, H heads, E embedding, V vocabulary rows, P vectors of a prompt.

CLIP (Radford et al. 2021, § 2.4) attends causally and reads the text off its end token, so what follows the end
cannot matter: texts are computed in groups of similar length, each trimmed to its longest, and the last block
computes only the end token's queries and MLP. SigLIP (Zhai et al. 2023) attends both ways, padding included, and
reads the last position of the padded text. XLM-R (Conneau et al. 2020) attends both ways but never to padding, and
normalises after each addition; Multilingual-CLIP reads it by the mean over all tokens, and so do sentence encoders
(MiniLM, E5), whose features all lie in a narrow cone: a centred tower takes the cone's axis away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.fingerprint import record_of
from glotclip.models.blocks import NO_HOOKS, Activation, Block, Norms, check_shapes
from glotclip.models.hooks import TextHooks
from glotclip.models.packing import Layout, Prompted, insert, means, pack, rectangle

BASE = TextHooks()  # adds nothing


@dataclass(frozen=True)
class TextConfig:
    """Geometry of a text tower; the defaults are those of CLIP ViT-B/32.

    ``pooling`` is at the end token (CLIP), at the last place of the padded text (SigLIP), the mean over a text's
    tokens (Multilingual-CLIP) or at the first of them (BERT's class token); under the latter two none sees padding.
    ``norms="post"`` normalises the sum of token and position, and the residual stream after each addition, with no
    norm before the projection. With ``centred`` a feature is brought to length 1, the mean μ of many texts is
    subtracted, and the rest is scaled by √E, so that the mean square error of two features is of order 1, as
    elsewhere; whoever compares features normalises them again.
    """

    width: int = 512
    layers: int = 12
    heads: int = 8
    mlp_width: int = 2048
    vocab_size: int = 49_408
    context_length: int = 77
    embed_dim: int = 512
    activation: Activation = "quick_gelu"
    causal: bool = True
    pooling: Literal["eot", "last", "mean", "first"] = "eot"
    norm_eps: float = 1e-5
    projection_bias: bool = False
    norms: Norms = "pre"
    centred: bool = False

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(
                f"width {self.width} is not divisible by {self.heads} heads", hint="correct the geometry"
            )
        if self.pooling == "eot" and not self.causal:
            raise ConfigError("pooling at the end token needs causal attention", hint="use pooling='last'")
        if self.reads_all and self.causal:
            raise ConfigError(
                "the mean over tokens, or the first, is of a tower that attends both ways", hint="set causal=False"
            )
        if self.norms == "post" and not self.reads_all:
            raise ConfigError(
                "a post-norm tower is read by the mean over its tokens, or off the first", hint="use pooling='mean'"
            )

    @property
    def reads_all(self) -> bool:
        """Whether the last block computes all tokens, none of which sees padding."""
        return self.pooling in ("mean", "first")

    def record(self) -> dict[str, Any]:
        """This geometry as JSON, from which it can be built again."""
        return record_of(self, later=("norms", "centred"))


class TextTower(nn.Module):
    """Token ids to text features.

    Its parameters are ordinary ones: a base is trained with gradients on all of them, a language with all of them
    frozen but its own. Frozen blocks keep one low-precision copy of their weights and take no weight gradients.
    """

    center: torch.Tensor  # μ (E,), of a centred tower

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.table = nn.Parameter(torch.empty(config.vocab_size, config.width))
        self.positions = nn.Parameter(torch.empty(config.context_length, config.width))
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_width, config.activation, config.norm_eps, config.norms)
            for _ in range(config.layers)
        )
        norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.norm = norm if config.norms == "pre" else None
        self.embed_norm = norm if config.norms == "post" else None
        self.projection = nn.Linear(config.width, config.embed_dim, bias=config.projection_bias)
        if config.centred:
            self.register_buffer("center", torch.zeros(config.embed_dim))
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
        return self.config.pooling != "last"

    def forward(
        self,
        ids: torch.Tensor,
        lengths: torch.Tensor,
        hooks: TextHooks | None = None,
        *,
        precision: torch.dtype | None = None,
    ) -> torch.Tensor:
        """Encode a batch of texts.

        Args:
            ids: int64 (B, T), padded; T must be the context length where :attr:`trims` is false.
            lengths: int64 (B,), tokens of each text including the end token.
            hooks: what a language adds; None: nothing. They are handed packed tokens: one row (1, S) of all the
                batch's tokens, and (1, B, W) after the last block unless that computes all tokens (mean, first).
            precision: dtype of the linear maps and of attention; the residual stream and norms stay float32. By
                default that of an enclosing ``torch.autocast``, else the weights' own.

        Returns:
            Unnormalised features float32 (B, E).
        """
        device_type = ids.device.type
        if precision is None:
            ambient = torch.is_autocast_enabled(device_type)
            precision = torch.get_autocast_dtype(device_type) if ambient else self.table.dtype
        if ids.shape[0] == 0:
            return self.table.new_zeros(0, self.config.embed_dim)
        hooks = BASE if hooks is None else hooks
        if (probe := hooks.probe()) is not None:
            with torch.no_grad():
                features = self(ids, lengths, probe, precision=precision)
            hooks = hooks.condition_on(features)
        overrides = hooks.parameter_overrides()
        if overrides:
            self._check(overrides)
        prompt = hooks.prompt(self.table)
        coarse = device_type == "cpu" and precision != torch.float32
        self._fits(ids.shape[1], 0 if prompt is None else len(prompt))
        if prompt is None:
            layout = self._layout(lengths, ids.shape[1], coarse)
            hidden = hooks.embed(ids.reshape(-1).index_select(0, layout.source)[None], self.table)[0]
        else:
            plan = insert(lengths, ids.shape[1], len(prompt), self.config.context_length)
            layout = self._layout(plan.lengths, plan.width, coarse)
            hidden = self._embed_prompted(ids, prompt, plan, layout, hooks)
        # What computes in low precision is decided here; autocast would only look at each operation once more.
        with torch.autocast(device_type, enabled=False):
            hidden = hidden + F.embedding(layout.position, overrides.get("positions", self.positions))
            hidden = self._normed(hidden, "embed_norm", overrides)
            hidden = self._run(hidden, layout, hooks, precision)
            if self.config.pooling == "mean":
                hidden = means(hidden, layout)
            elif self.config.pooling == "first":
                hidden = hidden.index_select(0, layout.firsts())
            hidden = self._normed(hidden.to(self.table.dtype), "norm", overrides)
            weight = overrides.get("projection.weight", self.projection.weight)
            encoded = F.linear(hidden, weight, overrides.get("projection.bias", self.projection.bias))
            if self.config.centred:
                encoded = (F.normalize(encoded, dim=-1) - self.center) * math.sqrt(self.config.embed_dim)
            return encoded.index_select(0, layout.restore)

    def _run(self, hidden: torch.Tensor, layout: Layout, hooks: TextHooks, precision: torch.dtype) -> torch.Tensor:
        """Run the blocks on the packed tokens (S, W); what is read off one token becomes (B, W) in the last."""
        # Hooks that leave a place alone are not asked about it.
        within = type(hooks).block_hooks is not TextHooks.block_hooks
        after = type(hooks).after_block is not TextHooks.after_block
        causal = self.config.causal
        final = len(self.blocks) if self.config.reads_all else len(self.blocks) - 1
        for k, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            block_hooks = (hooks.block_hooks(k) if within else None) or NO_HOOKS
            if block_hooks.prefix is not None and block_hooks.prefix[0].dim() == 3:
                key, value = (each.index_select(0, layout.texts()) for each in block_hooks.prefix)
                block_hooks = replace(block_hooks, prefix=(key, value))
            if k < final:
                hidden = block(hidden, layout.groups, causal, precision, block_hooks, layout.own)
            else:
                hidden = block.pooled(hidden, layout.groups, layout.queries, causal, precision, block_hooks)
            if after:
                # What hooks compute here is linear maps for the most part; the residual stream stays as it is.
                with torch.autocast(hidden.device.type, precision, enabled=precision != torch.float32):
                    hidden = hooks.after_block(k, hidden[None])[0]
        return hidden

    def _embed_prompted(
        self, ids: torch.Tensor, prompt: torch.Tensor, plan: Prompted, layout: Layout, hooks: TextHooks
    ) -> torch.Tensor:
        """Look up packed tokens, and put the prompt's vectors (P, W) between them: (S, W)."""
        source = plan.source.reshape(-1).index_select(0, layout.source)
        number = source - ids.numel()
        # The places of vectors look up the first token of all, for nothing: there are few of them.
        tokens = ids.reshape(-1).index_select(0, source.masked_fill(number >= 0, 0))
        vectors = F.embedding(number.clamp(min=0), prompt.to(self.table.dtype))
        return torch.where((number >= 0)[:, None], vectors, hooks.embed(tokens[None], self.table)[0])

    def _normed(
        self, hidden: torch.Tensor, name: Literal["norm", "embed_norm"], overrides: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Apply the norm of this name, where the tower has it."""
        norm = self.norm if name == "norm" else self.embed_norm
        if norm is None:
            return hidden
        weight, bias = overrides.get(f"{name}.weight", norm.weight), overrides.get(f"{name}.bias", norm.bias)
        return F.layer_norm(hidden, norm.normalized_shape, weight, bias, norm.eps)

    def _check(self, overrides: Mapping[str, torch.Tensor]) -> None:
        own = {
            name: tensor
            for name, tensor in self.named_parameters()
            if name != "table" and not name.startswith("blocks.")
        }
        for name in overrides:
            if name not in own:
                raise ConfigError(
                    f"hooks cannot replace {name!r} outside the blocks",
                    hint=f"this tower has {', '.join(own)}; the table is replaced through embed",
                )
        check_shapes(overrides, own)

    def _fits(self, width: int, prompt: int) -> None:
        """Raise ConfigError if a batch of ``width`` columns, or a prompt in it, is not one for this tower."""
        context = self.config.context_length
        if width > context:
            raise ConfigError(
                f"texts of {width} tokens, but the tower has {context} positions",
                hint="tokenise with this base's tokenizer, which cuts texts to the context",
            )
        if not self.trims and width != context:
            raise ConfigError(
                f"this tower attends to padding: texts must be padded to {context}, not {width}",
                hint="pass to=tower.config.context_length to Tokens.padded",
            )
        if prompt + 2 > context:
            raise ConfigError(
                f"a prompt of {prompt} vectors leaves no room for a text in {context} positions",
                hint="use a shorter prompt",
            )

    def _layout(self, lengths: torch.Tensor, width: int, coarse: bool) -> Layout:
        if torch.compiler.is_exporting():
            ends = lengths if self.trims else torch.full_like(lengths, width)
            return rectangle(ends, width, marks=self.config.pooling == "mean")
        if self.trims:
            return pack(lengths, width, coarse=coarse, marks=self.config.reads_all)
        return pack(torch.full_like(lengths, width), width)
