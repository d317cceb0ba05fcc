"""Text modules: the trained additions to the text tower. One module is one class in one file.

A :class:`TextModule` owns its configuration, its initialisation, the hooks through which it acts in the tower, and
what a pack stores of it. ``@register_method`` gives it a name on the command line; the method of that name trains the
module, beside an embedding and whatever else :class:`~glotclip.methods.settings.ModuleSettings` puts there.

    @register_method("scale", "a factor for every feature after every block")
    class Scale(TextModule):
        class Config(Settings):
            start: float = Field(1.0, description="the factors before training")

        def __init__(self, text: TextConfig, config: Config) -> None:
            super().__init__(text, config)
            self.factors = nn.Parameter(torch.empty(text.layers, text.width))

        def init_weights(self, task: TrainingTask) -> None:
            nn.init.constant_(self.factors, self.config.start)

        def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
            return hidden * self.factors[k].to(hidden.dtype)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import torch
from pydantic import ValidationError
from torch import nn

from glotclip.config import Settings
from glotclip.errors import ConfigError, PackError
from glotclip.models.hooks import TextHooks

if TYPE_CHECKING:
    from glotclip.methods.settings import ModuleSettings
    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder
    from glotclip.models.text_tower import TextConfig
    from glotclip.models.tokenizer import Tokenizer

ALL = "all"  # the scope of what every language of a pack uses
_DAMAGED = "get the pack again"


@dataclass
class ParameterGroup:
    """Weights that the optimiser treats alike.

    ``gradient_scale``, ``rate_scale`` and ``decay_scale`` (K,) multiply each row's gradient (after clipping, before
    Adam's moments), its learning rate and its weight decay; ``None`` means one everywhere.
    """

    name: str
    parameters: list[nn.Parameter]
    weight_decay: bool = True
    lr_scale: float = 1.0
    gradient_scale: torch.Tensor | None = None
    rate_scale: torch.Tensor | None = None
    decay_scale: torch.Tensor | None = None

    @property
    def size(self) -> int:
        """How many weights train."""
        return sum(parameter.numel() for parameter in self.parameters)


class TextModule(TextHooks):
    """A trained addition to the text tower; its parameters, in float32, are what a pack stores of it.

    A subclass defines its :attr:`Config`, allocates its parameters from the tower's geometry in ``__init__``, sets
    them in :meth:`init_weights`, and overrides the hooks of :class:`~glotclip.models.hooks.TextHooks` through which
    it acts. Everything else has a default.

    Args:
        text: geometry of the tower.
        config: the module's settings; the settings of its whole method where it is made for a task.
    """

    kind: ClassVar[str]  # its name in packs; set when it is registered
    Config: ClassVar[type[Settings]] = Settings
    stored_settings: ClassVar[tuple[str, ...]] = ()  # without them a pack could not build the module again
    replaces_weights: ClassVar[bool] = False  # true where it stands in for the tower's own weights

    def __init__(self, text: TextConfig, config: Any) -> None:
        super().__init__()
        self.config = config

    # --- training ----------------------------------------

    def init_weights(self, task: TrainingTask) -> None:
        """Set the parameters before the first task, drawing from ``task.generator``."""

    @classmethod
    def check_settings(cls, config: ModuleSettings) -> None:
        """Raise ValueError where the settings of the module's method do not go together."""

    @classmethod
    def check_base(cls, config: Any, base: DualEncoder) -> None:
        """Raise a :class:`~glotclip.errors.GlotclipError` where the settings ask for what this base, or what they
        name, cannot give. It is called before anything is computed or written.
        """

    @classmethod
    def sources(cls, config: Any) -> Mapping[str, str]:
        """Fingerprints of what settings name and a task reads, by name: a run is another where they differ."""
        return {}

    @classmethod
    def method_modules(cls, config: Any) -> list[type[TextModule]]:
        """Every module of this module's method, in the order in which they act."""
        return [*dict.fromkeys([*(REGISTRY[kind].module for kind in config.beside), cls])]

    @classmethod
    def tokenizer_for(cls, config: Any, task: TrainingTask) -> Tokenizer | None:
        """The tokenizer the module wants for a task, or None to leave the choice to others."""
        return None

    @classmethod
    def scopes(cls, config: Any, task: TrainingTask) -> tuple[str, ...]:
        """Whose modules a task trains: one of all languages, or one for each language of the task."""
        return (ALL,) if config.modules == "shared" else task.languages

    @classmethod
    def new(cls, config: Any, task: TrainingTask) -> TextModule:
        """A module with initial weights, on the processor."""
        module = cls(task.base.text.config, config)
        with torch.no_grad():
            module.init_weights(task)
        return module

    @classmethod
    def for_task(cls, config: Any, task: TrainingTask) -> dict[str, TextModule]:
        """The modules that a task trains, by scope: new ones, or those of the pack, which go on training.

        Raises:
            ConfigError: if the pack has the module in other sizes than the settings ask for.
        """
        modules = {}
        for scope in cls.scopes(config, task):
            module = cls.new(config, task)
            if (present := task.previous_module(cls.kind, scope)) is not None:
                module = present.resumed(module)
            modules[scope] = module.to(task.base.device)
        return modules

    def resumed(self, new: TextModule) -> TextModule:
        """A trainable copy of a stored module, for a task for which ``new`` would be made otherwise."""
        check_same(self.kind, self.description(), new.description())
        module = copy.deepcopy(self).requires_grad_(True)
        module.config = new.config
        return module

    def parameter_groups(self) -> list[ParameterGroup]:
        """What trains; vectors and scalars are not decayed."""
        weights = [weight for weight in self.parameters() if weight.requires_grad]
        matrices = [weight for weight in weights if weight.dim() > 1]
        vectors = [weight for weight in weights if weight.dim() < 2]
        groups = [
            ParameterGroup(self.kind, matrices),
            ParameterGroup(f"{self.kind}, vectors", vectors, weight_decay=False),
        ]
        return [group for group in groups if group.parameters]

    def facts(self) -> dict[str, int]:
        """What a run's log tells of the module."""
        return {f"{self.kind}_weights": sum(group.size for group in self.parameter_groups())}

    @classmethod
    def stored_weights(cls, text: TextConfig, config: Any) -> int:
        """How many weights a pack stores of it for a language, under settings; rows of a token table not counted."""
        with torch.device("meta"):
            return cls(text, config).size

    def auxiliary_loss(self) -> torch.Tensor | None:
        """A loss of the module's own on the texts encoded with gradients since it was last asked, or None."""
        return None

    def finished(self, decay: float) -> TextModule:
        """The module to store once a task is over: a copy that no longer trains.

        Args:
            decay: Π(1 − η · weight decay) over the task's steps, for weights that took no part in them.
        """
        return copy.deepcopy(self).requires_grad_(False)

    # --- serving and storing ----------------------------------------

    @property
    def own_tokenizer(self) -> Tokenizer | None:
        """The tokenizer of a tower that the module brings from elsewhere; a pack does not store it again."""
        return None

    @property
    def merges(self) -> bool:
        """Whether the module acts through deltas that :meth:`merged_delta` gives as matrices."""
        return type(self).merged_delta is not TextModule.merged_delta

    def merged_delta(self, k: int) -> Mapping[str, torch.Tensor]:
        """What block ``k``'s weights would have to be increased by for the module's deltas to be in them, by name.

        A module that defines this acts through ``BlockHooks.deltas`` alone.
        """
        return {}

    @property
    def size(self) -> int:
        """How many weights it has."""
        return sum(parameter.numel() for parameter in self.parameters())

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights to store, by name."""
        return {name: parameter.detach() for name, parameter in self.named_parameters()}

    def description(self) -> dict[str, Any]:
        """What else :meth:`restore` needs, as JSON: sizes and choices that the shapes do not tell."""
        dumped: dict[str, Any] = self.config.model_dump(mode="json", include=set(self.stored_settings))
        return dumped

    @classmethod
    def described(cls, text: TextConfig, description: Mapping[str, Any]) -> Self:
        """Build the module that a description stands for; its weights are not set.

        Raises:
            TypeError, ValueError, ConfigError: if the description does not make sense.
        """
        return cls(text, cls.Config.model_validate(dict(description)))

    @classmethod
    def restore(cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]) -> Self:
        """Rebuild the module from what :meth:`tensors` and :meth:`description` gave.

        Raises:
            PackError: if a tensor is missing, superfluous, or does not fit ``base``.
        """
        if missing := sorted(set(cls.stored_settings) - set(description)):
            raise PackError(f"the {cls.kind} module's description lacks {', '.join(missing)}", hint=_DAMAGED)
        try:
            with torch.device("meta"):  # whatever sizes a description claims, nothing is allocated for them
                module = cls.described(base.text.config, description)
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            said = repr(error)
            if isinstance(error, ValidationError):
                first = error.errors()[0]
                said = ": ".join([".".join(map(str, first["loc"])), first["msg"]])
            raise PackError(
                f"the {cls.kind} module's description does not make sense: {said}", hint=_DAMAGED
            ) from error
        check_tensors(cls.kind, {name: p.shape for name, p in module.named_parameters()}, tensors)
        module.load_state_dict({name: t.float().to(base.device) for name, t in tensors.items()}, assign=True)
        return module.requires_grad_(False)


def check_same(kind: str, had: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise :class:`ConfigError` unless a pack's module has the sizes that settings ask for."""
    if had != wanted:
        raise ConfigError(
            f"the pack's {kind} has {dict(had)}, the settings ask for {dict(wanted)}",
            hint="go on with the settings that the pack was made with, or start a new one",
        )


def check_tensors(kind: str, expected: Mapping[str, torch.Size], tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise :class:`PackError` unless exactly the expected tensors are there, in their shapes."""
    missing = sorted(set(expected) - set(tensors))
    extra = sorted(set(tensors) - set(expected))
    if missing or extra:
        said = f"lacks {missing[:4]}" if missing else f"has unknown tensors: {extra[:4]}"
        raise PackError(f"the {kind} module {said}", hint=_DAMAGED)
    for name, shape in expected.items():
        if tensors[name].shape != shape or not tensors[name].is_floating_point():
            raise PackError(
                f"the {kind} module's {name} is {tensors[name].dtype} {tuple(tensors[name].shape)}, "
                f"but this base needs weights of shape {tuple(shape)}",
                hint=_DAMAGED,
            )


# --- registration ----------------------------------------

M = TypeVar("M", bound=type[TextModule])


@dataclass(frozen=True)
class Registration:
    """A registered module, and its method if it is one's own module.

    Attributes:
        module: the class.
        summary: one line on what the method does; empty where a module is only used beside others.
        defaults: settings of the method, the optimiser's included, that differ from the general defaults.
    """

    module: type[TextModule]
    summary: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)


REGISTRY: dict[str, Registration] = {}


def register_module(kind: str) -> Callable[[M], M]:
    """Register a module that other methods use, under the name that packs call it by."""
    return register_method(kind, "")


def register_method(name: str, summary: str, *, defaults: Mapping[str, Any] = {}) -> Callable[[M], M]:
    """Register a module and the method of the same name that trains it.

    Args:
        name: what packs and the command line call it.
        summary: one line on what the method does.
        defaults: settings that differ from the general defaults.

    Raises:
        ConfigError: if the name is taken by another class.
    """

    def registered(module: M) -> M:
        taken = REGISTRY.get(name)
        # The same class again is a file that was imported again.
        if taken is not None and _full_name(taken.module) != _full_name(module):
            raise ConfigError(f"there is a module called {name!r} already", hint="choose another name")
        module.kind = name
        REGISTRY[name] = Registration(module, summary, defaults)
        return module

    return registered


def _full_name(module: type[TextModule]) -> str:
    return f"{module.__module__}.{module.__qualname__}"


# --- initialisation ----------------------------------------


@torch.no_grad()
def draw_linear(weight: torch.Tensor, bias: torch.Tensor | None, generator: torch.Generator) -> None:
    """Draw as ``nn.Linear`` does: uniform within ±1/√in, weight (out, in) and bias alike."""
    bound = weight.shape[1] ** -0.5
    weight.uniform_(-bound, bound, generator=generator)
    if bias is not None:
        bias.uniform_(-bound, bound, generator=generator)


def trained_share(modules: list[TextModule], tower: int) -> float:
    """Weights that train, as a share of all that the tower has with them (PECT's count).

    What is added counts on both sides; what stands in for the tower's own weights is already in ``tower``.
    """
    added = sum(module.size for module in modules if not module.replaces_weights)
    return sum(module.size for module in modules) / (tower + added)
