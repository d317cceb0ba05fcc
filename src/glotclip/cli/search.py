"""``glotclip search``: the pictures of a folder that fit a text best."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from glotclip.cli.console import BaseOption, Console, Progress

_BAD_SHOWN = 5


def search(
    model: Annotated[str, typer.Argument(help="emoji-clip, a hub id, a checkpoint, or a folder made by `extend`.")],
    query: Annotated[str, typer.Argument(help="What the picture shows, in any language of the model.")],
    images: Annotated[Path, typer.Option(help="The folder of pictures.")],
    lang: Annotated[str, typer.Option(help="The query's language; guessed if it is not given.")] = "",
    companions: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="Who translates queries in languages learnt with text=to-english."),
    ] = None,
    top: Annotated[int, typer.Option(help="How many pictures to show.")] = 5,
    base: BaseOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the pictures that fit a text best.

    Every picture of the folder is compared, so the result is exact. Pictures are encoded once and remembered.
    """
    from glotclip.api import load
    from glotclip.data.schema import describe
    from glotclip.evaluation.tables import Table
    from glotclip.languages import check_installed
    from glotclip.search.scan import pictures_in
    from glotclip.search.scan import search as scan

    console = Console(as_json)
    pictures = pictures_in(images)
    polyglot = load(model, device=device, base=base)
    guessed = not lang and len(polyglot.languages) > 1
    code = check_installed(lang, polyglot.languages) if lang else polyglot.detect([query])[0]
    if guessed:
        console.say(f"language guessed: {code} (say it with --lang)")
    asked = _as_taught(query, code, companions) if polyglot.reads_translations(code) else query
    with Progress() as progress:
        found = scan(polyglot, pictures, [asked], [code], top=top, progress=partial(progress, "pictures"))
    hits = found.hits[0]
    console.table(
        Table(
            ("#", "score", "picture"),
            tuple((place, f"{hit.score:.3f}", str(hit.path)) for place, hit in enumerate(hits, start=1)),
            title=f"“{query}” ({code}) among {found.searched} pictures",
        )
    )
    if found.bad:
        console.say(f"{len(found.bad)} pictures could not be read:")
        for bad in found.bad[:_BAD_SHOWN]:
            console.say(f"  {describe(bad)}")
        if len(found.bad) > _BAD_SHOWN:
            console.say(f"  and {len(found.bad) - _BAD_SHOWN} more; --json lists all")
    console.result(
        {
            "model": model,
            "query": query,
            "lang": code,
            "lang_guessed": guessed,
            "searched": found.searched,
            "hits": [{"path": str(hit.path), "score": round(hit.score, 6)} for hit in hits],
            "unreadable": [{"path": bad.where, "reason": bad.reason} for bad in found.bad],
        }
    )


def _as_taught(query: str, lang: str, companions: str | None) -> str:
    """Translate a query in a language that was taught on translations into English."""
    from glotclip.api.common import translator_of
    from glotclip.errors import ConfigError

    if companions is None:
        raise ConfigError(
            f"{lang!r} was taught on texts machine-translated into English",
            hint="name who translates the query, e.g. --companions apertium",
        )
    return translator_of(companions, None).translate([query], lang, "en")[0]
