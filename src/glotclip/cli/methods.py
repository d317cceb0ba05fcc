"""``glotclip methods``: what languages can be learnt with, and what each method lets one set."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from glotclip.cli import completion
from glotclip.cli.console import Console


def methods(
    name: Annotated[
        str,
        typer.Argument(
            help="A method, to see all its settings.", show_default=False, autocompletion=completion.methods
        ),
    ] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/settings.md.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the methods with their costs, or every setting of one."""
    from glotclip.api import reference
    from glotclip.evaluation.tables import Table
    from glotclip.methods.method import method_named

    console = Console(as_json)
    if markdown:
        print(reference.settings_page(), end="")
        return
    if not name:
        rows = reference.method_costs()
        console.table(Table.of(rows, title="Methods", note="Weights at the text tower of CLIP ViT-B/32."))
        console.say("all settings of one: glotclip methods NAME")
        console.result({"methods": rows})
        return
    groups = reference.method_reference(method_named(name))
    value: dict[str, Any] = {}
    for group in groups:
        console.say(f"\n{group.title}")
        for each in group.settings:
            console.say(f"  {each.name} = {each.default}  ({each.kind})\n      {each.description}")
            value[each.name] = {"default": each.default, "kind": each.kind, "description": each.description}
    console.result({"method": name, "settings": value})
