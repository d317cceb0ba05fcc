"""``glotclip demo``: ten languages in a few minutes, learnt in three ways, and a query in three scripts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glotclip.cli.console import Console, Progress, duration
from glotclip.cli.options import AsJson
from glotclip.cli.serve import check_packages
from glotclip.server.settings import PORT

if TYPE_CHECKING:
    from glotclip.demo import Answer, Variant
    from glotclip.training.callbacks import Callbacks
    from glotclip.training.extension import Extension


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("demo-out"),
    quick: Annotated[bool, typer.Option("--quick", help="Only a few steps a language.")] = False,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="End at a page to search emoji with; --json serves nothing.")
    ] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = PORT,
    as_json: AsJson = False,
) -> None:
    """See an English CLIP learn ten languages, one after another, with and without forgetting; then search in all."""
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
    if serve and not as_json:
        _serve(out, port, console)


def _serve(out: Path, port: int, console: Console) -> None:
    """Index the emoji's images into a library, and serve it with the languages that were just taught."""
    from glotclip import api
    from glotclip.demo import VARIANTS, gallery
    from glotclip.errors import MissingExtraError

    try:
        check_packages()
    except MissingExtraError as error:
        console.say(f"no page to search with: {error.message}; {error.hint}")
        return
    from glotclip.server.run import serve
    from glotclip.server.settings import ServerSettings

    model, folder = out / VARIANTS[-1].key, out / "library"
    with Progress() as progress:
        api.index(gallery(), folder, model=model, progress=lambda done, total: progress("files", done, total))
    with api.open_library(folder) as library:
        serve(
            library, ServerSettings(port=port, model=str(model)),
            lambda address: console.say(f"search {len(library):,} emoji in any of them: {address}  (Ctrl-C stops)"),
        )  # fmt: skip


def _show(answer: Answer, console: Console) -> None:
    from glotclip.evaluation.tables import Table

    rows = tuple(
        (place, sign, f"{hit.score:.3f}", str(hit.path))
        for place, (sign, hit) in enumerate(zip(answer.signs, answer.hits, strict=True), start=1)
    )
    console.table(Table(("#", "emoji", "score", "image"), rows, title=f"“{answer.query}” ({answer.lang})"))
