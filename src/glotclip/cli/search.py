"""``glotclip search``: the images of a folder that fit a text best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glotclip.cli import completion
from glotclip.cli.console import BaseOption, Console, Progress
from glotclip.cli.options import AsJson, Device, LongTexts, TranslatorOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from glotclip.api import SearchResult
    from glotclip.packs.guess import Guess

DEFAULT_MODEL = "photo-clip"
_SKIPPED_SHOWN = 5
_CANDIDATES_SHOWN = 6


def search(
    images: Annotated[Path, typer.Option(help="The folder of images.")],
    model: Annotated[
        str,
        typer.Argument(
            metavar="[MODEL]",
            help="A built-in name (photo-clip, which is the default, emoji-clip, …), a hub id, a checkpoint, or a "
            "folder made by `extend` or `export`.",
            autocompletion=completion.models,
        ),
    ],
    query: Annotated[
        str | None,
        typer.Argument(metavar="QUERY", help="What the image shows, in any language of the model."),
    ] = None,
    lang: Annotated[
        str,
        typer.Option(
            help="The query's language; guessed if it is not given, or auto.", autocompletion=completion.languages
        ),
    ] = "",
    translator: TranslatorOption = None,
    long: LongTexts = "cut",
    top: Annotated[int, typer.Option(help="How many images to show.")] = 5,
    base: BaseOption = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Find the images that fit a text best.

    Every image of the folder is compared, so the result is exact. Images are encoded once and remembered.
    """
    from glotclip import api
    from glotclip.errors import ConfigError
    from glotclip.models.hub import BUILT_IN
    from glotclip.models.windows import check_long

    if query is None:  # the one argument is the query, unless it can only be a model
        if model in BUILT_IN or Path(model).exists():
            raise ConfigError(f"what to look for in {images} is not said", hint=f'glotclip search {model} "a dog" …')
        model, query = DEFAULT_MODEL, model
    console = Console(as_json)
    with Progress() as progress:
        found = api.search(
            model, images, query, lang or None, top=top, long=check_long(long), translator=translator, device=device,
            base=base, progress=progress,
        )  # fmt: skip
    _show(found, images, console)
    console.result(
        {
            "model": model,
            "query": found.query,
            "lang": found.lang,
            "lang_guessed": found.guess is not None,
            "lang_sure": found.guess.sure if found.guess else True,
            "lang_among": list(found.among),
            "lang_weights": {each: round(weight, 4) for each, weight in found.weights.items()},
            "searched": found.searched,
            "hits": [{**_place(hit.path), "score": round(hit.score, 6)} for hit in found.hits],
            "unreadable": [{**_place(item.where), "reason": item.reason} for item in found.unreadable],
            "unused": [{**_place(item.where), "reason": item.reason} for item in found.unused],
        }
    )


def _show(found: SearchResult, images: Path, console: Console) -> None:
    """The answer for people: the guess, the hits, and what was not searched."""
    from glotclip.data.listing import summary
    from glotclip.data.schema import describe
    from glotclip.evaluation.tables import Table
    from glotclip.storage import shown

    if found.guess:
        console.say(_guessed(found.guess, found.weights))
    rows = tuple((place, f"{hit.score:.3f}", shown(hit.path)) for place, hit in enumerate(found.hits, start=1))
    title = f"“{found.query}” ({', '.join(found.weights)}) among {found.searched} images"
    console.table(Table(("#", "score", "image"), rows, title=title))
    if count := len(found.unreadable):
        console.say(f"{count} images could not be read:")
        for item in found.unreadable[:_SKIPPED_SHOWN]:
            console.say(f"  {describe(item)}")
        if count > _SKIPPED_SHOWN:
            console.say(f"  and {count - _SKIPPED_SHOWN} more; --json lists all")
    for line in summary(found.unused, images):
        console.say(f"not searched: {line}")


def _guessed(guess: Guess, under: Mapping[str, float]) -> str:
    """What was guessed, how sure that is, and among which languages."""
    among = list(guess.probabilities)
    few = ", ".join(sorted(among[:_CANDIDATES_SHOWN])) + (" and others" if len(among) > _CANDIDATES_SHOWN else "")
    if guess.sure or len(under) == 1:
        sure = "" if guess.sure else f", not surely ({guess.probabilities[guess.lang]:.0%})"
        return f"language guessed: {guess.lang}{sure}, among {few} (say it with --lang)"
    shares = ", ".join(f"{code} {share:.0%}" for code, share in under.items())
    return f"language not sure, searched under all of these: {shares}; among {few} (say it with --lang)"


def _place(path: str | Path) -> dict[str, str]:
    """A file's name, and its address, which tells names apart that are no UTF-8."""
    return {"path": str(path), "uri": Path(path).absolute().as_uri()}
