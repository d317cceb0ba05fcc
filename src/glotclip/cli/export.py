"""``glotclip export``: a model as a folder that runs without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glotclip.cli import completion
from glotclip.cli.console import BaseOption, Console, Progress, split_codes
from glotclip.cli.options import AsJson, Model

if TYPE_CHECKING:
    from glotclip.onnx.manifest import Export


def export(
    model: Model,
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    precision: Annotated[
        str,
        typer.Option(
            metavar="auto|fp32|int8", help="Weights of the linear maps; auto: int8 where features stay near enough."
        ),
    ] = "auto",
    lang: Annotated[
        list[str] | None,
        typer.Option(help="Which of the model's languages; all if not given.", autocompletion=completion.languages),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Images to compare features on, best some that will be searched; else drawn ones."),
    ] = None,
    limit: Annotated[
        float, typer.Option(min=0, max=1, help="The cosine with the model that every sample must reach in int8.")
    ] = 0.99,
    base: BaseOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a model to ONNX: `glotclip search` then needs no torch, starts fast, and can take the folder as MODEL."""
    from glotclip import api
    from glotclip.onnx.export import check_precision

    console = Console(as_json)
    with Progress() as progress:
        made = api.export(
            model, out, precision=check_precision(precision), languages=split_codes(lang) or None, images=images,
            limit=limit, base=base, progress=progress,
        )  # fmt: skip
    _show(made, out, console)
    console.result({"folder": str(out), **made.model_dump(mode="json")})


def _show(made: Export, out: Path, console: Console) -> None:
    """What was written, how near it is to the model, and what was left out."""
    from glotclip.evaluation.tables import Table

    rows = [
        (name if precision == graph.precision else "", precision, f"{parity.cosine:.4f}", f"{parity.difference:.1g}",
         str(parity.samples), "kept" if precision == graph.precision else "not kept")
        for name, graph in made.graphs().items()
        for precision, parity in sorted(graph.parity.items(), key=lambda item: item[0] != graph.precision)
    ]  # fmt: skip
    header = ("graph", "precision", "least cosine", "largest difference", "samples", "")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    console.table(Table(header, tuple(rows), title=f"{made.name} in {out}, {size:.1f} MB, against the model"))
    console.say(f"languages: {', '.join(made.languages)}")
    for code, reason in made.refused.items():
        console.say(f"left out: {code}: {reason}")
    if made.fingerprint != made.base:
        console.say(
            f"note: a cosine is below {made.limit:g}, so features of this export are not comparable with the model's"
        )
