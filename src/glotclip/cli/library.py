"""``glotclip library``: what a library is made of, what it hides, and where its vectors are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glotclip.cli.console import BaseOption, Console, Progress
from glotclip.cli.options import AsJson, Device, LibraryOption

if TYPE_CHECKING:
    from glotclip.library.library import Library

app = typer.Typer(help="What a library is made of, what it hides, and where its vectors are.", no_args_is_help=True)
Items = Annotated[
    list[int], typer.Argument(metavar="ITEM...", help="Numbers of items, as `search --json` gives them.")
]


@app.command("list")
def list_(library: LibraryOption = None, as_json: AsJson = False) -> None:
    """Show a library's folders, its models, and where their vectors are."""
    from glotclip import api
    from glotclip.storage import shown

    console = Console(as_json)
    with api.open_library(library) as opened:
        record = _record(opened)
        console.say(f"{record['items']:,} pictures and videos in {shown(opened.path)}, {record['hidden']:,} hidden")
        for folder in record["folders"]:
            console.say(f"folder {folder}")
        for model in record["models"]:
            console.say(
                f"model {model['source']}: {model['vectors']:,} vectors of {model['dim']} in {model['store']}"
            )
        console.result(record)


def _record(opened: Library) -> dict[str, Any]:
    from glotclip.library import records
    from glotclip.library.stores.address import address_of

    hidden = opened.catalogue.value("SELECT count(*) FROM item WHERE state = ?", (records.HIDDEN,))
    return {
        "library": str(opened.path),
        "items": len(opened),
        "hidden": int(hidden),
        "folders": [str(root.path) for root in opened.roots],
        "models": [
            {
                "source": model.source, "name": model.name, "fingerprint": model.fingerprint, "dim": model.dim,
                "store": address_of(model.store_url).shown, "vectors": len(records.rows_of(opened.catalogue, model)),
            }
            for model in opened.models
        ],
    }  # fmt: skip


@app.command("move")
def move(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="postgresql://user@host/database, milvus:PATH.db, milvus://host:19530, or file: (back).",
        ),
    ],
    library: LibraryOption = None,
    as_json: AsJson = False,
) -> None:
    """Move the vectors to another engine: copied, read back, compared; until then everything stays where it is."""
    from glotclip import api
    from glotclip.library.stores.address import address_of

    console, told = Console(as_json), {}
    with api.open_library(library) as opened, Progress() as progress:
        moved = opened.move(url, lambda done, total: progress("vectors", done, total))
        for name, each in moved.items():
            where, left = address_of(each.url).shown, address_of(each.left).shown
            console.say(f"{name}: {each.vectors:,} vectors are in {where} now (SHA-256 {each.digest[:16]}…)")
            if left:
                console.say(f"  they stay in {left}, too: remove them there unless another library uses them")
            told[name] = {"url": where, "vectors": each.vectors, "sha256": each.digest, "left": left}
        if not moved:
            console.say("they are there already")
        console.result(told)


@app.command("export")
def export(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty.")],
    model: Annotated[
        str | None, typer.Option(help="Whose vectors; by default the model's that indexed last.")
    ] = None,
    library: LibraryOption = None,
    as_json: AsJson = False,
) -> None:
    """Write the vectors in clip-retrieval's layout: img_emb/*.npy and metadata/*.parquet."""
    from glotclip import api
    from glotclip.library import embeddings
    from glotclip.storage import shown

    console = Console(as_json)
    with api.open_library(library) as opened:
        count = embeddings.export(opened, out, model)
    console.say(f"{count:,} vectors are in {shown(out)}")
    console.result({"folder": str(out), "vectors": count})


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="With img_emb/*.npy and metadata/*.parquet.")],
    model: Annotated[str, typer.Option(help="That the vectors are of; tried on a few pictures.")],
    library: LibraryOption = None,
    base: BaseOption = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Take vectors over from clip-retrieval's layout, for the files that its metadata name; nothing is encoded."""
    from glotclip import api
    from glotclip.cli.index import record_of, show
    from glotclip.library import embeddings
    from glotclip.library.library import Library

    console = Console(as_json)
    encoder = api.encoder_of(model, device=device, base=base)
    with Library(library, create=True) as opened, Progress() as progress:
        report = embeddings.take(opened, folder, encoder, lambda done, total: progress("files", done, total))
        show(report, opened, console)
        console.result(record_of(report, opened))


@app.command("hide")
def hide(items: Items, library: LibraryOption = None) -> None:
    """Hide items: they appear nowhere, and stay in the library."""
    _change(library, "hidden", items)


@app.command("unhide")
def unhide(items: Items, library: LibraryOption = None) -> None:
    """Show hidden items again."""
    _change(library, "shown again", items)


@app.command("forget")
def forget(items: Items, library: LibraryOption = None) -> None:
    """Forget items: their vectors and all else are removed, and they are not indexed again. Files stay."""
    _change(library, "forgotten", items)


def _change(library: Any, what: str, items: Sequence[int]) -> None:
    from glotclip import api

    with api.open_library(library) as opened:
        count = opened.forget(items) if what == "forgotten" else opened.hide(items, hidden=what == "hidden")
    console = Console()
    console.say(f"{count:,} {what}")
    if count < len(set(items)):
        console.say(f"{len(set(items)) - count:,} of them were so before, or are not in the library")
