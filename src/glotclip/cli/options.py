"""Options that several commands share: how data of one's own is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glotclip.data.reading import HOLD_OUT as HOLD_OUT
from glotclip.data.reading import MAX_SKIPPED as MAX_SKIPPED

if TYPE_CHECKING:
    from glotclip.cli.console import Console

Images = Annotated[
    Path | None, typer.Option(help="The folder of the pictures or videos, where they do not lie beside the captions.")
]
DefaultLang = Annotated[
    str | None, typer.Option(metavar="CODE", help="The language of captions that do not say theirs.")
]
Encoding = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of caption files; by default as their byte-order mark says, else UTF-8."),
]
MaxSkipped = Annotated[
    float, typer.Option(min=0, max=1, metavar="SHARE", help="Refuse data of which more than this cannot be used.")
]
HoldOut = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        metavar="SHARE",
        help="Of the pictures of data that does not say its splits, hold so many out for testing; 0 trains on all.",
    ),
]


def say_notes(console: Console, notes: Sequence[str]) -> None:
    """Say what there is to know of the data, each once."""
    for note in dict.fromkeys(notes):
        console.say(f"note: {note}")
