"""``glotclip demo``: ten languages in a few minutes, learnt in three ways, and a query in three scripts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glotclip.cli.console import Console, Progress, duration
from glotclip.cli.options import AsJson

if TYPE_CHECKING:
    from glotclip.demo import Answer, Variant
    from glotclip.training.callbacks import Callbacks
    from glotclip.training.extension import Extension


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("demo-out"),
    quick: Annotated[bool, typer.Option("--quick", help="Only a few steps a language.")] = False,
    as_json: AsJson = False,
) -> None:
    """See an English CLIP learn ten languages, one after another, with and without forgetting."""
    from glotclip import demo as demonstration
    from glotclip.cli.extend import run_callbacks

    console, began = Console(as_json), time.monotonic()
    with Progress() as progress:

        def callbacks(variant: Variant, extension: Extension) -> Callbacks:
            langs = extension.curriculum.languages
            console.say(f"\n{variant.title}: {len(langs)} languages, {' '.join(langs)}")
            return run_callbacks(extension, console, progress)

        settings = {"steps": demonstration.QUICK_STEPS} if quick else {}
        shown = demonstration.run(out, settings=settings, callbacks=callbacks, progress=progress)
    console.say()
    console.table(shown.table)
    console.say(f"{shown.concept} asked for by its name, which was taught (of names that were not, the table tells)")
    for each in shown.answers:
        _show(each, console)
    console.table(shown.videos)
    console.say(f"report: {shown.pages[0]}, {shown.pages[1]}")
    console.say(f"{duration(time.monotonic() - began)} in all")
    console.result(
        {
            "rows": [dict(zip(shown.table.columns, row, strict=True)) for row in shown.table.rows],
            "matrices": {title: run.matrix.to_json() for title, run in shown.runs.items() if run.matrix},
            "videos": [dict(zip(shown.videos.columns, row, strict=True)) for row in shown.videos.rows],
            "answers": [
                {
                    "lang": each.lang,
                    "query": each.query,
                    "hits": [
                        {"sign": sign, "path": str(hit.path), "score": round(hit.score, 6)}
                        for sign, hit in zip(each.signs, each.hits, strict=True)
                    ],
                }
                for each in shown.answers
            ],
        }
    )


def _show(answer: Answer, console: Console) -> None:
    from glotclip.evaluation.tables import Table

    rows = tuple(
        (place, sign, f"{hit.score:.3f}", str(hit.path))
        for place, (sign, hit) in enumerate(zip(answer.signs, answer.hits, strict=True), start=1)
    )
    console.table(Table(("#", "emoji", "score", "image"), rows, title=f"“{answer.query}” ({answer.lang})"))
