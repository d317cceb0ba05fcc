"""``glotclip doctor``: what is broken here, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from glotclip.cli.console import Console
from glotclip.cli.options import AsJson

_SIGNS = {"fine": " ", "missing": "-", "broken": "✗"}


def doctor(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of `extend` or `export` to examine; by default those in the current folder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Examine versions, devices, caches, models, packs and engines; the exit code is 1 if something is broken."""
    from rich.cells import cell_len

    from glotclip.doctor.check import Case, broken, examine

    console = Console(as_json)
    sections = examine(Case(tuple(folders or ())))
    for section in sections:
        if not section.findings:
            continue
        console.say(section.title)
        wide = max(cell_len(each.what) for each in section.findings)
        for each in section.findings:
            padding = " " * (wide - cell_len(each.what))
            console.say(f"{_SIGNS[each.state]} {each.what}{padding}  {each.said}")
            if each.mend:
                console.say(f"  {' ' * wide}  → {each.mend}")
        console.say()
    faults = broken(sections)
    names = ", ".join(each.what for each in faults)
    console.say(
        f"broken: {names}" if faults else "nothing is broken (- is missing, and only needed where it says so)"
    )
    console.result(
        {
            "broken": len(faults),
            "sections": [
                {"title": section.title, "findings": [asdict(each) for each in section.findings]}
                for section in sections
            ],
        }
    )
    if faults:
        raise typer.Exit(1)
