"""``glotclip index``: bring a library of pictures and videos up to date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glotclip.cli.console import BaseOption, Console, Progress
from glotclip.cli.options import AsJson, Device, LibraryOption

if TYPE_CHECKING:
    from glotclip.library.indexing import Report
    from glotclip.library.library import Library
    from glotclip.library.sharing import Share

_SHOWN = 5  # skipped files that are named


def index(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="Folders to add, or shards: .tar files (WebDataset), .parquet tables of addresses, as many as "
            "{00000..00041} names. Without any, what the library has already is looked at again.",
        ),
    ] = None,
    library: LibraryOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="What encodes: a built-in name, a hub id, a folder made by `extend`. By default the model "
            "that indexed last; photo-clip for a new library."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out names like this, now and later, e.g. '*.png' or '2019/raw/*'."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and follow changes until Ctrl-C.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="That decode; by default one a core.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures encoded at once.")] = 32,
    base: BaseOption = None,
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option(help="Pictures are encoded in: fp32, bf16, fp16; auto is bf16 where that is fast.")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Bring a library up to date: what is new is encoded, what has moved is followed, what is gone is forgotten."""
    from glotclip import api
    from glotclip.allocation import keep_memory
    from glotclip.library.library import Library
    from glotclip.library.sharing import index as shared

    keep_memory()
    share, console = _share(watch), Console(as_json)
    if share.rank:
        share.wait()  # until the first has made the library
    with Library(library, create=True) as opened:
        source = model or next((each.source for each in opened.models), api.DEFAULT_MODEL)
        encoder = api.encoder_of(source, device=device, precision=precision, base=base)
        if not share.rank:
            share.wait()

        def update(places: list[Path], patterns: list[str] | None) -> Report:
            with Progress() as progress:
                return shared(
                    share, opened, places, encoder=encoder, exclude=patterns, batch=batch, threads=threads,
                    progress=lambda done, total: progress("files", done, total),
                )  # fmt: skip

        report = update(folders or [], exclude)
        if not share.rank:
            show(report, opened, console)
            console.result(record_of(report, opened))
        if watch:
            _follow(opened, lambda: update([], None), console)


def _share(watch: bool) -> Share:
    """Which of torchrun's processes this is."""
    from glotclip import api
    from glotclip.errors import ConfigError

    share = api.share_of_processes()
    if watch and share.world > 1:
        raise ConfigError("several processes cannot follow changes", hint="leave --watch out under torchrun")
    return share


def _follow(library: Library, update: Callable[[], Report], console: Console) -> None:
    """Bring the library up to date after every change, until Ctrl-C."""
    from glotclip.library.watching import changes

    for _ in changes([root.path for root in library.roots]):
        report = update()
        if report.encoded or report.renamed or report.removed or report.copied:
            show(report, library, console)


def show(report: Report, library: Library, console: Console) -> None:
    """Say what became of the files."""
    from glotclip.data.listing import summary
    from glotclip.storage import shown

    words = ("encoded", "unchanged", "renamed", "copied", "paired", "removed")
    counts = [f"{getattr(report, word):,} {word}" for word in words if getattr(report, word) or word != "paired"]
    console.say(f"{', '.join(counts)}, {len(report.skipped):,} skipped in {report.seconds:.1f} s")
    roots = [root.path for root in library.roots]
    for line in summary(report.skipped, roots[0] if len(roots) == 1 else Path("/")):
        console.say(f"skipped: {line}")
    console.say(f"{report.items:,} pictures and videos in {shown(library.path)}")


def record_of(report: Report, library: Library) -> dict[str, Any]:
    """The same as ``--json`` gives it."""
    return {
        "library": str(library.path),
        "model": library.model().source,
        **{
            name: getattr(report, name)
            for name in ("encoded", "unchanged", "renamed", "copied", "paired", "removed", "items")
        },
        "seconds": round(report.seconds, 3),
        "skipped": [{"path": each.where, "reason": each.reason} for each in report.skipped],
    }
