"""What all parts made of small trained modules share: storing, restoring, counting, and how a lesson uses them.

A :class:`ModulePart`'s weights are its parameters, in float32. It is built from the tower's geometry and a few sizes
alone, so that its weights can be counted without a tower, and drawn or filled afterwards.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal, Self

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.config import check_names
from glotclip.errors import ConfigError, PackError
from glotclip.methods.stack import ALL, PackState, TextModule
from glotclip.methods.task import Context, Contribution, ParameterGroup, Task
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.text_tower import TextConfig
from glotclip.models.tokenizer import Tokenizer


class ModulePart(TextModule):
    """A part whose weights are its parameters."""

    replaces: ClassVar[bool] = False  # true where the weights stand in for the tower's own instead of adding to them

    @classmethod
    def sized(cls, text: TextConfig, description: Mapping[str, Any]) -> Self:
        """Build the part that a description stands for on a tower of this geometry; its weights are not set.

        What a part describes is what it is built from, by the same names.

        Raises:
            TypeError, ValueError, ConfigError: if the description does not make sense.
        """
        return cls(text, **description)

    @property
    def size(self) -> int:
        """How many weights it has."""
        return sum(parameter.numel() for parameter in self.parameters())

    def tensors(self) -> dict[str, torch.Tensor]:
        """All parameters."""
        return {name: parameter.detach() for name, parameter in self.named_parameters()}

    @classmethod
    def restore(cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]) -> Self:
        """Rebuild the part, checking every name and shape against the base's geometry."""
        try:
            with torch.device("meta"):  # whatever sizes a description claims, nothing is allocated for them
                part = cls.sized(base.text.config, description)
        except (TypeError, ValueError, ConfigError) as error:
            raise PackError(
                f"the {cls.kind} part's description does not make sense: {error!r}", hint="get the pack again"
            ) from error
        check_tensors(cls.kind, {name: p.shape for name, p in part.named_parameters()}, tensors)
        part.load_state_dict({name: t.float().to(base.device) for name, t in tensors.items()}, assign=True)
        return part.requires_grad_(False)

    def trainable(self) -> Self:
        """A copy that trains."""
        return copy.deepcopy(self).requires_grad_(True)

    def stored(self) -> ModulePart:
        """The form that a pack keeps, once training is over: a copy that no longer trains."""
        return copy.deepcopy(self).requires_grad_(False)


def check_tensors(kind: str, expected: Mapping[str, torch.Size], tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise :class:`PackError` unless exactly the expected tensors are there, in their shapes."""
    missing = sorted(set(expected) - set(tensors))
    extra = sorted(set(tensors) - set(expected))
    if missing or extra:
        said = f"lacks {missing[:4]}" if missing else f"has unknown tensors: {extra[:4]}"
        raise PackError(f"the {kind} part {said}", hint="get the pack again")
    for name, shape in expected.items():
        if tensors[name].shape != shape or not tensors[name].is_floating_point():
            raise PackError(
                f"the {kind} part's {name} is {tensors[name].dtype} {tuple(tensors[name].shape)}, "
                f"but this base needs weights of shape {tuple(shape)}",
                hint="get the pack again",
            )


class ModuleIngredient(ABC):
    """One kind of module in a method: fresh for each language, or one for all that the next task goes on with.

    Subclasses are dataclasses with a field ``shared`` and define :meth:`fresh`.
    """

    kind: ClassVar[str]
    shared: bool

    def tokenizer(self, base: DualEncoder, state: PackState | None, task: Task) -> Tokenizer | None:
        """Modules leave the vocabulary to others."""
        return None

    @abstractmethod
    def fresh(self, context: Context) -> ModulePart:
        """Draw a new part, which trains, on the processor."""

    def contribute(self, context: Context) -> Contribution:
        """Train the part of scope "all", or one for each language of the task; those present go on training."""
        parts: dict[str, ModulePart] = {}
        for scope in (ALL,) if self.shared else context.task.languages:
            part = self.fresh(context)
            if context.state and (present := context.state.part(self.kind, scope)):
                assert isinstance(present, ModulePart)
                had, wanted = present.description(), part.description()
                if had != wanted:
                    raise ConfigError(
                        f"the pack's {self.kind} has {had}, the settings ask for {wanted}",
                        hint="go on with the settings that the pack was made with, or start a new one",
                    )
                part = present.trainable()
            parts[scope] = part.to(context.base.device)
        weights = [parameter for part in parts.values() for parameter in part.parameters()]
        groups = [
            ParameterGroup(name, chosen, weight_decay=decays)
            for name, decays in ((self.kind, True), (f"{self.kind}, vectors", False))
            if (chosen := [weight for weight in weights if (weight.dim() > 1) is decays])
        ]

        def finish(decay: float) -> Mapping[str, TextModule]:
            return {scope: part.stored() for scope, part in parts.items()}

        facts = {f"{self.kind}_weights": sum(part.size for part in parts.values())}
        return Contribution(parts, groups, finish, facts)


Activation = Literal["relu", "gelu", "gelu_tanh"]
_ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
}


def activation_named(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function between the two maps of a bottleneck.

    Raises:
        ConfigError: for a name that there is none of.
    """
    check_names([name], _ACTIVATIONS, where="activation")
    return _ACTIVATIONS[name]


class Bottleneck(nn.Module):
    """``W_up f(W_down x + b_down) + b_up``: what acquirers and adapters are made of.

    Args:
        width: W.
        size: width of the bottleneck.
    """

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        if size < 1:
            raise ConfigError(f"a bottleneck of {size}", hint="it needs at least one unit")
        self.down = nn.Parameter(torch.empty(size, width))
        self.down_bias = nn.Parameter(torch.empty(size))
        self.up = nn.Parameter(torch.empty(width, size))
        self.up_bias = nn.Parameter(torch.empty(width))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """(…, W) → (…, size), in the dtype of ``x``."""
        return F.linear(x, self.down.to(x.dtype), self.down_bias.to(x.dtype))

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """(…, size) → (…, W), in the dtype of ``x``."""
        return F.linear(x, self.up.to(x.dtype), self.up_bias.to(x.dtype))


@torch.no_grad()
def draw_linear(weight: torch.Tensor, bias: torch.Tensor | None, generator: torch.Generator) -> None:
    """Draw as ``nn.Linear`` does: uniform within ±1/√in, weight (out, in) and bias alike."""
    bound = weight.shape[1] ** -0.5
    weight.uniform_(-bound, bound, generator=generator)
    if bias is not None:
        bias.uniform_(-bound, bound, generator=generator)


def share(parts: Iterable[ModulePart], tower: int) -> float:
    """Weights that train, as a share of all that the tower has with them (PECT's count).

    What is added counts on both sides; what stands in for the tower's own weights is already in ``tower``.
    """
    counted = list(parts)
    added = sum(part.size for part in counted if not part.replaces)
    return sum(part.size for part in counted) / (tower + added)
