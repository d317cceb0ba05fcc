"""What a run is told. Each option is declared once, here: for Python, for the command line and for recipes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field
from pydantic.fields import FieldInfo

from glotclip.config import Settings, check_names, parse_assignments, read_recipe, settings_from
from glotclip.data.reading import HOLD_OUT, MAX_SKIPPED
from glotclip.languages import normalise_all

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark
    from glotclip.data.mixture import Sources
    from glotclip.data.reading import Reading
    from glotclip.models.dual_encoder import DualEncoder
    from glotclip.packs.folder import Base
    from glotclip.packs.polyglot import Polyglot
    from glotclip.translate.engine import Engine
else:  # the command line reads this file before anything heavy is loaded
    Benchmark = Sources = DualEncoder = Base = Polyglot = Engine = Any


F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Flag:
    """How the command line spells a field; one without a flag is for Python only.

    Attributes:
        names: of the option; none: the field's own.
        kind: what its value is read as.
        metavar: what the help calls the value.
        read: makes the field's value of what was read.
        argument: whether it stands without a name.
    """

    names: tuple[str, ...] = ()
    kind: Any = str
    metavar: str | None = None
    read: Callable[[Any], Any] = lambda value: value
    argument: bool = False


def _codes(value: Any) -> Any:
    """Accept ``de, fr`` for a list, and take YAML 1.1's reading of ``no`` (Norwegian) back."""
    if isinstance(value, str):
        return tuple(normalise_all(value))
    if isinstance(value, Sequence):
        texts = ("no" if code is False else str(code) for code in value)
        return tuple(normalise_all([code for text in texts for code in text.replace(",", " ").split()]))
    return value


def _one_or_all(names: Sequence[str]) -> Any:
    """A single source is just its name."""
    return names[0] if len(names) == 1 else tuple(names)


Languages = Annotated[tuple[str, ...], BeforeValidator(_codes)]


class ReadingConfig(Settings):
    """How data of one's own is read."""

    images: Annotated[str | Path | None, Flag(kind=Path)] = Field(
        None, description="The folder of the images or videos, where they do not lie beside the captions."
    )
    default_lang: Annotated[str | None, Flag(metavar="CODE")] = Field(
        None, description="The language of captions that do not say theirs."
    )
    encoding: Annotated[str | None, Flag(metavar="NAME")] = Field(
        None, description="Of caption files; by default as their byte-order mark says, else UTF-8."
    )
    max_skipped: Annotated[float, Flag(kind=float, metavar="SHARE")] = Field(
        MAX_SKIPPED, ge=0, le=1, description="Refuse data of which more than this cannot be used."
    )
    hold_out: Annotated[float, Flag(kind=float, metavar="SHARE")] = Field(
        HOLD_OUT, ge=0, le=1,
        description="Of the images of data that does not say its splits, hold so many out for testing; 0 trains on "
        "all.",
    )  # fmt: skip

    @property
    def reading(self) -> Reading:
        """What differs from the usual."""
        return self.model_dump(include=set(ReadingConfig.model_fields), exclude_defaults=True)  # type: ignore[return-value]


class TeachingConfig(ReadingConfig):
    """What ``extend`` and ``compare`` have in common."""

    model: Annotated[str | Path | Polyglot, Flag(argument=True)] = Field(
        description="emoji-clip, a hub id, a checkpoint, or a folder made by `extend`."
    )
    data: Annotated[Sources, Flag(kind=list[str], metavar="SOURCE", read=_one_or_all)] = Field(
        "emoji",
        description="emoji (the default), freedict, a dictionary, parallel text, a caption file or folder; several, "
        "also as NAME=WEIGHT, have each its share of every batch.",
    )
    benchmark: Annotated[bool | str | Path | Benchmark, Flag(("--evaluate/--no-evaluate",), kind=bool)] = Field(
        True, description="Score every language after every task, on the data's held-out rows or on other data."
    )
    joint: Annotated[bool, Flag(("--joint",), kind=bool)] = Field(
        False, description="Learn all languages at once (needs isolation=shared)."
    )
    translator: Annotated[str | Engine | None, Flag(metavar="ENGINE")] = Field(
        None, description="Translation engine for text=to-english and target_text=from-english."
    )


class RunConfig(ReadingConfig):
    """What a command that trains takes besides its data."""

    out: Annotated[str | Path, Flag(kind=Path)] = Field(
        description="The folder to write: new, or, for `extend`, empty or made by `extend`, as MODEL itself may be."
    )
    recipe: Annotated[str | Path | None, Flag(kind=Path)] = Field(
        None, description="A YAML file of settings, and of these options."
    )
    settings: Annotated[
        dict[str, Any], Flag(("--set",), kind=list[str], metavar="NAME=VALUE", read=parse_assignments)
    ] = Field(default_factory=dict, description="Settings of method and training, such as steps=50; may be repeated.")
    base: Annotated[Base | None, Flag(metavar="PATH")] = Field(
        None, description="Where the model folder's base is, if it is not found by itself any more."
    )
    device: Annotated[str, Flag()] = Field("auto", description="auto, cpu, cuda or mps.")


class ExtendConfig(TeachingConfig, RunConfig):
    """Everything that ``extend`` takes."""

    langs: Annotated[Languages, Flag(("--lang", "--langs"), kind=list[str], metavar="CODES")] = Field(
        (), description="Languages in the order of learning; commas or repeated."
    )
    method: Annotated[str, Flag()] = Field(
        "lexicon", description="How languages are learnt: lexicon, acquirer, lora, …; `glotclip methods` lists all."
    )
    continue_learning: Annotated[bool, Flag(("--continue",), kind=bool)] = Field(
        False, description="Installed languages go on learning from where they are."
    )
    max_forgetting: Annotated[float | None, Flag(kind=float, metavar="POINTS")] = Field(
        None, description="Refuse what makes a language lose more R@1 than this since it was learnt or the run began."
    )
    cache: Path | None = Field(None, description="Root of the caches of features and translations.")


class FinetuneConfig(RunConfig):
    """Everything that ``finetune`` takes."""

    model: Annotated[str | Path | DualEncoder, Flag(argument=True)] = Field(
        description="emoji-clip, a hub id or a checkpoint."
    )
    data: Annotated[Sources, Flag(kind=list[str], metavar="SOURCE", read=_one_or_all)] = Field(
        description="emoji, or a caption file or folder with English captions."
    )


C = TypeVar("C", bound=RunConfig)


def fields_of(kind: type[Settings]) -> dict[str, FieldInfo]:
    """A config's fields, its own first and then those of its bases: what is special comes first."""
    names = [name for each in kind.__mro__ for name in getattr(each, "__annotations__", {})]
    return {name: kind.model_fields[name] for name in names if name in kind.model_fields}


def flags(kind: type[Settings]) -> dict[str, tuple[FieldInfo, Flag]]:
    """The fields that the command line has, with their flags."""
    return {
        name: (field, flag)
        for name, field in fields_of(kind).items()
        for flag in field.metadata
        if isinstance(flag, Flag)
    }


def config_of(kind: type[C], given: Mapping[str, Any]) -> C:
    """Make a config of the options given, and of those in the recipe that they name; the former win.

    Raises:
        ConfigError: for an unknown option ("did you mean"), a missing or a wrong one.
    """
    check_names(given, kind.model_fields, where="the options")
    recipe = read_recipe(Path(given["recipe"])) if given.get("recipe") else {}
    own = {name: value for name, value in recipe.items() if name in kind.model_fields}
    return settings_from(kind, {**own, **given}, where="the options")


def recipe_settings(kind: type[RunConfig], recipe: str | Path | None) -> dict[str, Any]:
    """What a recipe says besides options of a config: settings of method and training."""
    values = read_recipe(Path(recipe)) if recipe else {}
    return {name: value for name, value in values.items() if name not in kind.model_fields}


def documented(kind: type[RunConfig]) -> Callable[[F], F]:
    """Show a config's fields in the signature and in the docstring of a function that takes them as ``**options``."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        names = [each.name for each in own]
        fields = {name: field for name, field in fields_of(kind).items() if name not in names}
        options = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty
                if field.is_required()
                else field.get_default(call_default_factory=True),
            )
            for name, field in fields.items()
        ]
        function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
        lines = "".join(f"\n        {name}: {field.description}" for name, field in fields.items())
        function.__doc__ = (function.__doc__ or "").replace("\n        options:", f"{lines}\n        options:")
        return function

    return decorate
