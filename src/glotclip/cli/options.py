"""Options of the command line, made from the fields of the configs in :mod:`glotclip.api.config`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glotclip.api.config import Flag, ReadingConfig, RunConfig, config_of, flags
from glotclip.cli import completion
from glotclip.data.reading import HOLD_OUT as HOLD_OUT
from glotclip.data.reading import MAX_SKIPPED as MAX_SKIPPED

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from glotclip.cli.console import Console


def _option(kind: type[ReadingConfig], name: str) -> Any:
    """What Typer is told of a field's option."""
    field, flag = flags(kind)[name]
    if flag.argument:
        return typer.Argument(
            help=field.description, show_default=not field.is_required(), autocompletion=completion.BY_FIELD.get(name)
        )
    least, most = (next((getattr(m, at) for m in field.metadata if hasattr(m, at)), None) for at in ("ge", "le"))
    names = flag.names or (f"--{name.replace('_', '-')}",)
    return typer.Option(
        *names, help=field.description, metavar=flag.metavar, min=least, max=most,
        autocompletion=completion.BY_FIELD.get(name),
    )  # fmt: skip


# --- for commands that only read data --------------------------------

Images = Annotated[Path | None, _option(ReadingConfig, "images")]
DefaultLang = Annotated[str | None, _option(ReadingConfig, "default_lang")]
Encoding = Annotated[str | None, _option(ReadingConfig, "encoding")]
MaxSkipped = Annotated[float, _option(ReadingConfig, "max_skipped")]
HoldOut = Annotated[float, _option(ReadingConfig, "hold_out")]


# --- for commands of a config ----------------------------------------


def takes(kind: type[RunConfig]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Turn a function of a config into a command: with an option for each of its fields, then the function's own."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        found = flags(kind)

        def command(context: typer.Context, **values: Any) -> None:
            sources = {name: context.get_parameter_source(name) for name in found}
            written = [name for name, source in sources.items() if source is not None and source.name != "DEFAULT"]
            given = {name: found[name][1].read(values[name]) for name in written}
            function(config_of(kind, given), **{each.name: values[each.name] for each in own})

        parameters = [_parameter(kind, name, *found[name]) for name in found]
        keyword = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        command.__signature__ = inspect.Signature([context, *parameters, *keyword])  # type: ignore[attr-defined]
        command.__annotations__, command.__doc__, command.__name__ = {}, function.__doc__, function.__name__
        return command

    return decorate


def _parameter(kind: type[RunConfig], name: str, field: FieldInfo, flag: Flag) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
    optional = default is None or flag.kind == list[str]
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if optional else default,
        annotation=Annotated[flag.kind | None if optional else flag.kind, _option(kind, name)],
    )


Model = Annotated[
    str,
    typer.Argument(
        help="emoji-clip, a hub id, a checkpoint, or a folder made by `extend`.", autocompletion=completion.models
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
LongTexts = Annotated[
    str,
    typer.Option("--long", metavar="cut|mean", help="Texts longer than the context: cut them, or average windows."),
]
TranslatorOption = Annotated[
    str | None,
    typer.Option("--translator", metavar="ENGINE", help="Translates texts of languages learnt with text=to-english."),
]
LIBRARY_HELP = "The library's folder; else $GLOTCLIP_LIBRARY, else in the user's data folder."
LibraryOption = Annotated[Path | None, typer.Option("--library", metavar="PATH", help=LIBRARY_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def say_notes(console: Console, notes: Sequence[str]) -> None:
    """Say what there is to know of the data, each once."""
    for note in dict.fromkeys(notes):
        console.say(f"note: {note}")
