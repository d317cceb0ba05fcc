"""The transformer block that all towers are built of.

Shapes: S tokens of all sequences laid end to end, W width, H heads, D = W / H, G sequences of a group, T its length.

Tokens are *packed*: linear maps, norms and activations run over (S, W) without a single padded row, and attention
runs group by group over sequences of equal length. Most of a small tower's time in bf16 is elementwise work, so the
number of passes over the activations is what counts here.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

from glotclip.errors import ConfigError
from glotclip.models.attention import Group, attend, attend_at
from glotclip.models.hooks import BlockHooks, Map

Activation = Literal["quick_gelu", "gelu", "gelu_tanh"]
Norms = Literal["pre", "post"]

# quick_gelu(x) = x · sigmoid(1.702 x) = silu(1.702 x) / 1.702: with the factors moved into the two linear maps
# around it, one pass over the widest activation is left instead of three.
QUICK_GELU_SCALE = 1.702


class Weights(NamedTuple):
    """A block's weights in the dtype it computes in; ``scale`` is still to be applied around the activation."""

    norm1: torch.Tensor
    norm1_bias: torch.Tensor
    qkv: torch.Tensor
    qkv_bias: torch.Tensor
    out: torch.Tensor
    out_bias: torch.Tensor
    norm2: torch.Tensor
    norm2_bias: torch.Tensor
    up: torch.Tensor
    up_bias: torch.Tensor
    down: torch.Tensor
    down_bias: torch.Tensor
    scale: float


NAMES = Weights._fields[:-1]
LINEARS = ("q", "k", "v", "out", "up", "down")
NO_HOOKS = BlockHooks()


class Block(nn.Module):
    """Attention and MLP, each added to the residual stream.

    With ``norms="pre"`` each reads the stream through a layer norm (CLIP, SigLIP, ViT); with ``"post"`` the stream
    itself is normalised after each addition (BERT and its heirs).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_width: int,
        activation: Activation,
        norm_eps: float,
        norms: Norms = "pre",
    ) -> None:
        super().__init__()
        self.heads = heads
        self.activation: Activation = activation
        self.post = norms == "post"
        self.scale = QUICK_GELU_SCALE if activation == "quick_gelu" else 1.0
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)
        self.up = nn.Linear(width, mlp_width)
        self.down = nn.Linear(mlp_width, width)
        self._low: tuple[object, Weights] | None = None

    def weights(self, dtype: torch.dtype, replaced: Mapping[str, torch.Tensor] = NO_HOOKS.weights) -> Weights:
        """Return the weights for computing in ``dtype``; a frozen block casts them once and keeps the copy.

        Args:
            dtype: what the linear maps compute in.
            replaced: tensors that replace the block's own, by their name in :class:`Weights`. One that takes
                a gradient is cast each time, any other once for as long as it lives unchanged.

        Raises:
            ConfigError: a name is not one of :data:`NAMES`, or a tensor has not the shape of the block's own.
        """
        own = (
            self.norm1.weight, self.norm1.bias, self.qkv.weight, self.qkv.bias, self.out.weight, self.out.bias,
            self.norm2.weight, self.norm2.bias, self.up.weight, self.up.bias, self.down.weight, self.down.bias,
        )  # fmt: skip
        if replaced:
            _check_names(replaced, NAMES, "weights")
            check_shapes(replaced, dict(zip(NAMES, own, strict=True)))
        changes: dict[str, Any]
        if dtype == own[0].dtype:
            changes = {name: tensor.to(dtype) for name, tensor in replaced.items()}
            full = Weights(*own, scale=self.scale)
            return full._replace(**changes) if changes else full
        if any(weight.requires_grad or weight.is_inference() for weight in own):
            low = _cast(own, dtype, self.scale)
        else:
            state = (dtype, *((weight.data_ptr(), weight._version) for weight in own))
            kept = self._low  # read once: a thread that computes in another dtype may put its own in its place
            if kept is None or kept[0] != state:
                with torch.inference_mode(False), torch.no_grad():
                    kept = self._low = (state, _cast(own, dtype, self.scale))
            low = kept[1]
        changes = {name: _cast_once(name, tensor, dtype, self.scale) for name, tensor in replaced.items()}
        return low._replace(**changes) if changes else low

    def forward(
        self,
        hidden: torch.Tensor,
        groups: Sequence[Group],
        causal: bool,
        dtype: torch.dtype,
        hooks: BlockHooks = NO_HOOKS,
        own: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Run the block on every token.

        Args:
            hidden: residual stream (S, W).
            groups: how the S tokens divide into sequences.
            causal: whether a token sees only those before it.
            dtype: what linear maps and attention compute in.
            hooks: what a language changes within the block.
            own: bool (S,), false for padding, which nobody sees then; None: padding is seen.

        Returns:
            The residual stream after the block (S, W).
        """
        w = self.weights(dtype, hooks.weights)
        read = self._read(hidden, self.norm1, w.norm1, w.norm1_bias, dtype)
        _check_names(hooks.deltas, LINEARS, "deltas")
        qkv = _add_deltas(F.linear(read, w.qkv, w.qkv_bias), dict.fromkeys("qkv", read), hooks.deltas)
        del read
        attended = attend(qkv, groups, self.heads, causal, prefix=hooks.prefix, own=own)
        del qkv  # the widest but one; kept while the MLP runs, it costs a processor's allocator a tenth of the time
        return self._after_attention(hidden, attended, w, dtype, hooks)

    def pooled(
        self,
        hidden: torch.Tensor,
        groups: Sequence[Group],
        rows: torch.Tensor,
        causal: bool,
        dtype: torch.dtype,
        hooks: BlockHooks = NO_HOOKS,
    ) -> torch.Tensor:
        """Run the block for one token of each sequence; what the others would have become is not computed.

        Args:
            hidden: residual stream (S, W).
            groups: as in :meth:`forward`.
            rows: which of the S tokens, one per sequence in the order of the groups (B,); with ``causal`` the
                sequences end there, without it they are as long as their group.
            causal: as in :meth:`forward`.
            dtype: as in :meth:`forward`.
            hooks: as in :meth:`forward`.

        Returns:
            The residual stream of those tokens after the block (B, W).
        """
        w = self.weights(dtype, hooks.weights)
        width = hidden.shape[-1]
        read = self._read(hidden, self.norm1, w.norm1, w.norm1_bias, dtype)
        asking = read.index_select(0, rows)
        query = F.linear(asking, w.qkv[:width], w.qkv_bias[:width])
        keys_values = F.linear(read, w.qkv[width:], w.qkv_bias[width:])
        _check_names(hooks.deltas, LINEARS, "deltas")
        query = _add_deltas(query, {"q": asking}, hooks.deltas)
        keys_values = _add_deltas(keys_values, {"k": read, "v": read}, hooks.deltas)
        attended = attend_at(query, keys_values, groups, rows if causal else None, self.heads, prefix=hooks.prefix)
        return self._after_attention(hidden.index_select(0, rows), attended, w, dtype, hooks)

    def _after_attention(
        self, hidden: torch.Tensor, attended: torch.Tensor, w: Weights, dtype: torch.dtype, hooks: BlockHooks
    ) -> torch.Tensor:
        """Add what attention gives to the residual stream, and then what the MLP gives."""
        update = F.linear(attended, w.out, w.out_bias)
        update = _changed(update, attended, hooks.deltas.get("out"), hooks.after_attention)
        hidden = self._added(hidden, update, self.norm1, w.norm1, w.norm1_bias)
        return self._added(hidden, self._mlp(hidden, w, dtype, hooks), self.norm2, w.norm2, w.norm2_bias)

    def _mlp(self, hidden: torch.Tensor, w: Weights, dtype: torch.dtype, hooks: BlockHooks) -> torch.Tensor:
        """The MLP's contribution to the residual stream."""
        read = self._read(hidden, self.norm2, w.norm2, w.norm2_bias, dtype)
        inner = _scaled_linear(read, w.up, w.up_bias, w.scale, w.scale)
        if "up" in hooks.deltas:
            inner = inner + self.scale * hooks.deltas["up"](read).to(inner.dtype)
        if self.activation == "quick_gelu":
            inner = F.silu(inner, inplace=not inner.requires_grad)
        else:
            inner = F.gelu(inner, approximate="tanh" if self.activation == "gelu_tanh" else "none")
        update = _scaled_linear(inner, w.down, w.down_bias, 1 / w.scale, 1.0)
        delta = hooks.deltas.get("down")
        true = inner if delta is None or self.scale == 1.0 else inner / self.scale
        return _changed(update, true, delta, hooks.after_mlp)

    def _read(
        self, hidden: torch.Tensor, norm: nn.LayerNorm, weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype
    ) -> torch.Tensor:
        """What a sub-layer sees of the residual stream, in the dtype it computes in."""
        if self.post:
            return hidden.to(dtype)
        return F.layer_norm(hidden, norm.normalized_shape, weight, bias, norm.eps).to(dtype)

    def _added(
        self,
        hidden: torch.Tensor,
        update: torch.Tensor,
        norm: nn.LayerNorm,
        weight: torch.Tensor,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Add a sub-layer's output to the residual stream, in place where no gradient or graph needs the old one."""
        kept = hidden.requires_grad or update.requires_grad or torch.compiler.is_exporting()
        hidden = hidden + update if kept else hidden.add_(update)
        return F.layer_norm(hidden, norm.normalized_shape, weight, bias, norm.eps) if self.post else hidden


def check_shapes(replaced: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> None:
    """Raise ConfigError where a tensor has not the shape of the one it replaces."""
    for name, tensor in replaced.items():
        if tensor.shape != own[name].shape:
            raise ConfigError(
                f"hooks replace {name} {tuple(own[name].shape)} by {tuple(tensor.shape)}",
                hint="they were made for another base",
            )


def _check_names(given: Mapping[str, object], known: Sequence[str], what: str) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"{what} of a block cannot be named {name!r}", hint=f"known: {', '.join(known)}")


def _add_deltas(output: torch.Tensor, inputs: Mapping[str, torch.Tensor], deltas: Mapping[str, Map]) -> torch.Tensor:
    """Add deltas to a joined map's output (S, n·W), given the input of each of its n maps, in their order."""
    if not any(name in deltas for name in inputs):
        return output
    pieces = zip(inputs, output.chunk(len(inputs), dim=-1), strict=True)
    return torch.cat(
        [piece + deltas[name](inputs[name]).to(piece.dtype) if name in deltas else piece for name, piece in pieces],
        dim=-1,
    )


def _changed(update: torch.Tensor, read: torch.Tensor, delta: Map | None, after: Map | None) -> torch.Tensor:
    """Apply what hooks add to a sub-layer's last linear map, and then to its output."""
    if delta is not None:
        update = update + delta(read).to(update.dtype)
    return update if after is None else after(update)


def _cast(own: Sequence[torch.Tensor], dtype: torch.dtype, scale: float) -> Weights:
    """Cast the linear maps, with the activation's factors moved into them; norms stay in full precision."""
    low = (_cast_one(name, weight, dtype, scale) for name, weight in zip(NAMES, own, strict=True))
    return Weights._make([*low, 1.0])


def _cast_one(name: str, weight: torch.Tensor, dtype: torch.dtype, scale: float) -> torch.Tensor:
    if name.startswith("norm"):
        return weight
    if scale != 1.0 and name in ("up", "up_bias", "down"):
        weight = weight / scale if name == "down" else weight * scale
    return weight.to(dtype)


# Casts of tensors that replace blocks' own. A cast lives as long as the tensor it was made from.
_CASTS: MutableMapping[torch.Tensor, tuple[object, torch.Tensor]] = WeakTensorKeyDictionary()


def _cast_once(name: str, weight: torch.Tensor, dtype: torch.dtype, scale: float) -> torch.Tensor:
    """Cast a replacement: within autograd where it takes a gradient, else once for each state of the tensor."""
    if weight.is_inference() or (weight.requires_grad and torch.is_grad_enabled()):
        return _cast_one(name, weight, dtype, scale)
    state = (name, dtype, scale, weight._version)
    kept = _CASTS.get(weight)
    if kept is None or kept[0] != state:
        with torch.inference_mode(False), torch.no_grad():
            cast = _cast_one(name, weight, dtype, scale)
        if cast is weight:  # a norm's: to keep it under itself would keep it alive
            return weight
        kept = _CASTS[weight] = (state, cast)
    return kept[1]


def _scaled_linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, alpha: float, beta: float
) -> torch.Tensor:
    """Return alpha · x Wᵀ + beta · bias; the factors cost nothing inside the matrix product."""
    if alpha == beta == 1.0:
        return F.linear(x, weight, bias)
    if torch.compiler.is_exporting():  # a graph's runtime folds products of weights, and quantises plain maps alone
        return F.linear(x, weight * alpha, bias * beta)
    return torch.addmm(bias, x, weight.t(), alpha=alpha, beta=beta)
