"""``glotclip serve``: the page and the HTTP API of a library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glotclip.cli.console import BaseOption, Console
from glotclip.cli.options import LIBRARY_HELP, Device, LibraryOption
from glotclip.server.settings import HOST, PORT

_PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "python_multipart")


def check_packages() -> None:
    """Raise :class:`MissingExtraError` unless what a server needs is installed."""
    from glotclip.errors import require

    for package in _PACKAGES:
        require(package, extra="serve", purpose="serving a library")


def serve(
    library: Annotated[Path | None, typer.Argument(help=LIBRARY_HELP)] = None,
    named: LibraryOption = None,
    host: Annotated[str, typer.Option(help="Address to listen at; any but localhost needs a token.")] = HOST,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = PORT,
    token: Annotated[
        str | None,
        typer.Option(envvar="GLOTCLIP_TOKEN", help="What whoever asks has to know.", show_default=False),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another host name by which it may be asked; may be given again."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Which of the library's models answers, or one made of it by `extend`."),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Nothing can be hidden through the page.")] = False,
    base: BaseOption = None,
    device: Device = "auto",
) -> None:
    """Serve a library: a page to search it with, and an HTTP API (/openapi.json)."""
    from glotclip import api
    from glotclip.allocation import keep_memory
    from glotclip.errors import ConfigError

    if library is not None and named is not None:
        raise ConfigError("the library is named twice", hint="as the argument, or with --library")
    check_packages()
    from glotclip.server.run import serve as run
    from glotclip.server.settings import ServerSettings

    keep_memory()
    settings = ServerSettings(
        host, port, token, tuple(allow_host or ()), model=model, changes=not read_only
    ).checked()  # fmt: skip
    console = Console()
    with api.open_library(library or named, device=device, base=base) as opened:

        def told(address: str) -> None:
            console.say(f"{len(opened):,} pictures and videos at {address}  (Ctrl-C stops)")

        run(opened, settings, told)
