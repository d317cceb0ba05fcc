"""``glotclip search``: the pictures of a folder that fit a text best."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glotclip.cli.console import Console, Progress

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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the pictures that fit a text best.

    Every picture of the folder is compared, so the result is exact. Pictures are encoded once and remembered.
    """
    from glotclip import api
    from glotclip.data.listing import summary
    from glotclip.data.schema import describe
    from glotclip.evaluation.tables import Table
    from glotclip.storage import shown

    console = Console(as_json)
    with Progress() as progress:
        found = api.search(
            model, images, query, lang or None, top=top, companions=companions, device=device, progress=progress
        )
    if found.guessed:
        console.say(f"language guessed: {found.lang} (say it with --lang)")
    console.table(
        Table(
            ("#", "score", "picture"),
            tuple((place, f"{hit.score:.3f}", shown(hit.path)) for place, hit in enumerate(found.hits, start=1)),
            title=f"“{found.query}” ({found.lang}) among {found.searched} pictures",
        )
    )
    if found.unreadable:
        console.say(f"{len(found.unreadable)} pictures could not be read:")
        for bad in found.unreadable[:_BAD_SHOWN]:
            console.say(f"  {describe(bad)}")
        if len(found.unreadable) > _BAD_SHOWN:
            console.say(f"  and {len(found.unreadable) - _BAD_SHOWN} more; --json lists all")
    for line in summary(found.unused, images):
        console.say(f"not searched: {line}")
    console.result(
        {
            "model": model,
            "query": found.query,
            "lang": found.lang,
            "lang_guessed": found.guessed,
            "searched": found.searched,
            "hits": [{**_place(hit.path), "score": round(hit.score, 6)} for hit in found.hits],
            "unreadable": [{**_place(bad.where), "reason": bad.reason} for bad in found.unreadable],
            "unused": [{**_place(each.where), "reason": each.reason} for each in found.unused],
        }
    )


def _place(path: str | Path) -> dict[str, str]:
    """A file's name, and its address, which tells names apart that are no UTF-8."""
    return {"path": str(path), "uri": Path(path).absolute().as_uri()}
