"""``glotclip evaluate``: retrieval scores in both directions, language by language."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glotclip.cli.console import LONG, BaseOption, Console, Progress, long_of, split_codes
from glotclip.cli.options import HOLD_OUT, MAX_SKIPPED, DefaultLang, Encoding, HoldOut, Images, MaxSkipped, say_notes


def evaluate(
    model: Annotated[str, typer.Argument(help="emoji-clip, a hub id, a checkpoint, or a folder made by `extend`.")],
    benchmark: Annotated[
        str,
        typer.Option(
            help="emoji, emoji-video (either with :VENDOR), or a caption file or folder with rows of split test."
        ),
    ] = "emoji",
    langs: Annotated[
        list[str] | None,
        typer.Option(
            "--langs", "--lang", metavar="CODES", help="Languages, with commas or repeated; all of both by default."
        ),
    ] = None,
    translate: Annotated[
        str | None,
        typer.Option(
            metavar="ENGINE",
            help="The rival: translate texts into English first (apertium, ctranslate2:DIR, …) and encode those.",
        ),
    ] = None,
    translator: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="Who translates texts in languages learnt with text=to-english."),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(help="How image → text is ranked: karpathy (each caption alone) or mla (an image's as one)."),
    ] = "karpathy",
    images: Images = None,
    default_lang: DefaultLang = None,
    encoding: Encoding = None,
    max_skipped: MaxSkipped = MAX_SKIPPED,
    hold_out: HoldOut = HOLD_OUT,
    out: Annotated[Path | None, typer.Option(help="Write the scores as JSON here.")] = None,
    base: BaseOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16, or auto.")] = "fp32",
    long: Annotated[str, LONG] = "cut",
    intervals: Annotated[int, typer.Option(min=0, help="Bootstrap draws; 0 leaves the intervals out.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how well texts find pictures and pictures find texts, in every language."""
    from glotclip import api
    from glotclip.evaluation import report
    from glotclip.evaluation.tables import Table
    from glotclip.ownership import check_file, write_file
    from glotclip.storage import shown, to_json

    console, inputs = Console(as_json), (benchmark, images)
    if out is not None:
        check_file(out, inputs)
    with Progress() as progress:
        result = api.evaluate(
            model,
            benchmark,
            split_codes(langs) or None,
            device=device,
            base=base,
            precision=precision,
            long=long_of(long),
            translate=translate,
            translator=translator,
            progress=progress,
            intervals=intervals,
            protocol=protocol,
            images=images,
            default_lang=default_lang,
            encoding=encoding,
            max_skipped=max_skipped,
            hold_out=hold_out,
        )
    say_notes(console, result["notes"])
    (section,) = report.from_run({"results": {str(result["benchmark"]): result}}).sections
    console.say(f"{section.title}: {section.text}\n")
    for part in section.parts:
        if isinstance(part, Table):
            console.table(part)
    if result["skipped"]:
        count = len(result["skipped"])
        console.say(f"left out or damaged: {count} rows, pictures or videos, first: {result['skipped'][0]}")
    if out is not None:
        write_file(out, f"{to_json(result, indent=1)}\n".encode(), inputs)
        console.say(f"wrote {shown(out)}")
    console.result(result)
