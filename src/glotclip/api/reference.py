"""What there is to set: every method, and every setting with its default and its description, from the classes."""

from __future__ import annotations

import textwrap
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from glotclip.config import Settings
from glotclip.methods.method import SHORTHANDS, Method, methods
from glotclip.methods.settings import ModuleSettings
from glotclip.models.text_tower import TextConfig
from glotclip.training.settings import TrainSettings

WIDTH = 120
_KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text", dict: "mapping"}
VIT_B_32 = TextConfig()  # the text tower of CLIP ViT-B/32, at which weights are counted


@dataclass(frozen=True)
class Setting:
    """One setting: its name, what it may be, its default under a method, and what it does."""

    name: str
    kind: str
    default: Any
    description: str


@dataclass(frozen=True)
class Group:
    """Settings that belong together: those that one class declares, under the first line of its docstring."""

    title: str
    settings: tuple[Setting, ...]


def groups_of(kind: type[Settings], defaults: Mapping[str, Any] = {}) -> list[Group]:
    """The settings of a class, by the classes that declare them, those of its own first."""
    groups: list[Group] = []
    told: set[str] = set()
    for declaring in kind.__mro__:
        own = [name for name in getattr(declaring, "__annotations__", {}) if name in kind.model_fields]
        if new := [name for name in own if name not in told]:
            told.update(new)
            title = (declaring.__doc__ or kind.__doc__ or "").strip().split("\n")[0]
            groups.append(Group(title, tuple(_setting(kind, name, defaults) for name in new)))
    return groups


def method_reference(method: Method) -> list[Group]:
    """Every setting of a method: its module's own, those that methods share, and those of the training."""
    own = groups_of(method.registration.module.Config, method.defaults)[:1]
    told = {setting.name for group in own for setting in group.settings}
    shared = [group for group in groups_of(method.settings, method.defaults) if group.settings[0].name not in told]
    return [*own, *shared, *groups_of(TrainSettings, method.defaults)]


def method_costs() -> list[dict[str, str]]:
    """A row for each method: what it adds, and how many weights a language takes at ViT-B/32's text tower."""
    rows = []
    for name, method in methods().items():
        config = method.config()
        embeds = any(each.replaces_embedding and not each.replaces_tower for each in method.modules(config))
        weights = method.stored_weights(VIT_B_32)
        said = [f"{weights:,}"] * bool(weights) + [f"{VIT_B_32.width} a token row"] * embeds
        rows.append({"method": name, "adds": method.summary, "weights a language": " and ".join(said) or "0"})
    return rows


def settings_page() -> str:
    """The page ``docs/settings.md``, wrapped."""
    lines = []
    for line in _page():
        lines += textwrap.wrap(line, WIDTH, subsequent_indent="  " if line.startswith("- ") else "") or [""]
    return "\n".join(lines) + "\n"


def _page() -> Iterator[str]:
    yield from ("# Settings", "")
    yield (
        "`glotclip methods --markdown` makes this page from the classes that declare the settings. What "
        "`--set NAME=VALUE` sets, a recipe sets with a line `NAME: VALUE`, and Python with `settings={...}`."
    )
    yield from ("", "## Methods", "")
    for row in method_costs():
        yield f"- `{row['method']}`: {row['adds']}. Weights a language: {row['weights a language']}."
    yield from ("", "Weights are counted at the text tower of CLIP ViT-B/32 with the method's defaults.")
    for short, names in SHORTHANDS.items():
        yield f"`{short}` is short for {', '.join(f'`{name}`' for name in names)}."
    for name, method in methods().items():
        yield from ("", f"## `{name}`", "", f"{method.summary[:1].upper()}{method.summary[1:]}.")
        if method.defaults:
            said = ", ".join(f"`{key}={value}`" for key, value in method.defaults.items())
            yield from ("", f"Other defaults: {said}.")
        for group in groups_of(method.registration.module.Config, method.defaults)[:1]:
            yield from _listed(group.settings)
    for title, kind in (("Every method", ModuleSettings), ("Training", TrainSettings)):
        yield from ("", f"## {title}")
        for group in groups_of(kind):
            yield from ("", f"### {group.title.rstrip('.')}")
            yield from _listed(group.settings)


def _listed(settings: Sequence[Setting]) -> Iterator[str]:
    yield ""
    for each in settings:
        yield f"- `{each.name}` ({each.kind}; default `{each.default}`): {each.description}"


def _setting(kind: type[Settings], name: str, defaults: Mapping[str, Any]) -> Setting:
    field = kind.model_fields[name]
    default = defaults.get(name, field.get_default(call_default_factory=True))
    if isinstance(default, tuple):
        default = ", ".join(map(str, default))
    return Setting(name, _kind(field.annotation), "" if default is None else default, field.description or "")


def _kind(annotation: Any) -> str:
    """A type as people write it: ``number``, ``yes or no``, or the words to choose from."""
    origin = get_origin(annotation)
    if origin is Literal:
        return " | ".join(map(str, get_args(annotation)))
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(each) for each in get_args(annotation) if each is not type(None))
    if origin is tuple:
        return f"list of {_kind(get_args(annotation)[0])}"
    if origin is not None and hasattr(annotation, "__metadata__"):
        return _kind(get_args(annotation)[0])
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", dict: "mapping"}
    return names.get(
        annotation if isinstance(annotation, type) else origin, getattr(annotation, "__name__", "value").lower()
    )
