"""Methods: a registered module, under the settings of its own and those that methods share."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import model_validator

from glotclip import methods as package
from glotclip.config import settings_from
from glotclip.errors import ConfigError, PackError, did_you_mean
from glotclip.methods.module import REGISTRY, Registration, TextModule
from glotclip.methods.objective import MethodSettings
from glotclip.methods.settings import ModuleSettings
from glotclip.models.text_tower import TextConfig

# Names accepted among the settings, and the several settings each stands for.
SHORTHANDS: Mapping[str, tuple[str, ...]] = {"teir": ("teir_init", "teir_gradient", "teir_decay")}


@dataclass(frozen=True)
class Method:
    """A way to teach a language: the name of a registered module, and what it stands for."""

    name: str
    registration: Registration

    @property
    def summary(self) -> str:
        """One line on what it does."""
        return self.registration.summary

    @property
    def defaults(self) -> Mapping[str, Any]:
        """What differs from the general defaults, of the optimiser's settings above all."""
        return self.registration.defaults

    @property
    def settings(self) -> type[MethodSettings]:
        """The settings that the method accepts."""
        return _settings_of(self.registration.module)  # type: ignore[arg-type]  # a class is hashable

    def modules(self, config: MethodSettings) -> list[type[TextModule]]:
        """What it adds to the tower under given settings, in the order in which it acts."""
        return self.registration.module.method_modules(config)

    def config(self, values: Mapping[str, Any] = {}) -> MethodSettings:
        """Its settings with its defaults, and those of ``values`` that differ."""
        known = self.settings.model_fields
        defaults = {name: value for name, value in self.defaults.items() if name in known}
        return settings_from(
            self.settings, {**defaults, **self.expanded(values)}, where=f"the settings of {self.name}"
        )

    def stored_weights(self, text: TextConfig) -> int:
        """Weights a pack stores for a language with the method's defaults, rows of the token table not counted."""
        config = self.config()
        return sum(module.stored_weights(text, config) for module in self.modules(config))

    def setting_names(self) -> set[str]:
        """Every name that may appear in a recipe for this method."""
        own = set(self.settings.model_fields)
        return own | {short for short, names in SHORTHANDS.items() if own.issuperset(names)}

    def expanded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Write shorthands out; a setting that is named itself wins over a shorthand beside it."""
        spelt = {name: values[short] for short, names in SHORTHANDS.items() if short in values for name in names}
        return {**spelt, **{name: value for name, value in values.items() if name not in SHORTHANDS}}


def methods() -> dict[str, Method]:
    """Every method by name, in alphabetical order."""
    _import_all()
    return {name: Method(name, each) for name, each in sorted(REGISTRY.items()) if each.summary}


def method_named(name: str) -> Method:
    """Look a method up by name; an unknown one is a :class:`ConfigError` that lists them."""
    known = methods()
    if name not in known:
        raise ConfigError(f"unknown method {name!r}", hint=f"{did_you_mean(name, known)}methods: {', '.join(known)}")
    return known[name]


def module_named(kind: str) -> type[TextModule]:
    """Look a module up by the name that packs call it by.

    Raises:
        PackError: if there is none.
    """
    _import_all()
    if kind not in REGISTRY:
        raise PackError(
            f"the pack has a module of unknown kind {kind!r}",
            hint="pip install -U glotclip, or import what registers it",
        )
    return REGISTRY[kind].module


@cache
def _import_all() -> None:
    """Import every file of this package: each registers its own modules."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


@cache
def _settings_of(module: type[TextModule]) -> type[MethodSettings]:
    """The shared settings and the module's own in one class."""
    if issubclass(module.Config, MethodSettings):
        return module.Config

    class Composed(ModuleSettings, module.Config):  # type: ignore[name-defined, misc]
        @model_validator(mode="after")  # type: ignore[misc]
        def _check(self) -> ModuleSettings:
            module.check_settings(self)
            return self

    Composed.__name__, Composed.__doc__ = f"{module.__name__}Settings", module.Config.__doc__
    return Composed
