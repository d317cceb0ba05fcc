"""``glotclip evaluate``: retrieval scores in both directions, language by language."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glotclip.cli import completion
from glotclip.cli.console import BaseOption, Console, Progress, split_codes
from glotclip.cli.options import (
    HOLD_OUT,
    MAX_SKIPPED,
    AsJson,
    DefaultLang,
    Device,
    Encoding,
    HoldOut,
    Images,
    LongTexts,
    MaxSkipped,
    Model,
    TranslatorOption,
    say_notes,
)
from glotclip.scores import DEFAULT_PROTOCOL

Benchmark = Annotated[
    str,
    typer.Option(
        "--benchmark",
        "--data",
        help="emoji, emoji-video (either with :VENDOR), a folder of labelled photographs, or a caption file or "
        "folder with rows of split test.",
        autocompletion=completion.datasets,
    ),
]
Langs = Annotated[
    list[str] | None,
    typer.Option(
        "--langs",
        "--lang",
        metavar="CODES",
        help="Languages, with commas or repeated; all of both by default.",
        autocompletion=completion.languages,
    ),
]
Translate = Annotated[
    str | None,
    typer.Option(
        metavar="ENGINE",
        help="The rival: translate texts into English first (apertium, ctranslate2:DIR, …) and encode those.",
    ),
]
Rivals = Annotated[
    list[str] | None,
    typer.Option(
        "--rivals",
        "--rival",
        metavar="KIND[:WHAT],…",
        help="Score others beside the model, on the same texts: base (untrained), base:MODEL, dictionary:DATA "
        "(looked up, then asked in English; without :DATA in the training data), translate:ENGINE.",
    ),
]
TrainingData = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DATA",
        help="What the languages were taught with, repeated for several: tells known texts, all of whose words were "
        "taught, from unknown ones.",
    ),
]
Protocol = Annotated[
    str, typer.Option(help="How image → text is ranked: karpathy (each caption alone) or mla (an image's as one).")
]


def evaluate(
    model: Model,
    benchmark: Benchmark = "emoji",
    langs: Langs = None,
    translate: Translate = None,
    translator: TranslatorOption = None,
    rivals: Rivals = None,
    training_data: TrainingData = None,
    protocol: Protocol = DEFAULT_PROTOCOL,
    images: Images = None,
    default_lang: DefaultLang = None,
    encoding: Encoding = None,
    max_skipped: MaxSkipped = MAX_SKIPPED,
    hold_out: HoldOut = HOLD_OUT,
    out: Annotated[Path | None, typer.Option(help="Write the scores as JSON here.")] = None,
    base: BaseOption = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16, or auto.")] = "fp32",
    long: LongTexts = "cut",
    intervals: Annotated[int, typer.Option(min=0, help="Bootstrap draws; 0 leaves the intervals out.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Measure how well texts find images and images find texts, in every language."""
    from glotclip import api
    from glotclip.evaluation import report
    from glotclip.models.windows import check_long
    from glotclip.ownership import check_file, write_file
    from glotclip.storage import shown, to_json

    console, inputs = Console(as_json), (benchmark, images)
    if out is not None:
        check_file(out, inputs)
    with Progress() as progress:
        result = api.evaluate(
            model, benchmark, split_codes(langs) or None, translate=translate, translator=translator,
            protocol=protocol, base=base, device=device, precision=precision, long=check_long(long),
            intervals=intervals, progress=progress, images=images, default_lang=default_lang, encoding=encoding,
            max_skipped=max_skipped, hold_out=hold_out, rivals=rivals or (), training_data=training_data or (),
        )  # fmt: skip
    say_notes(console, result["notes"])
    (section,) = report.from_run(results={str(result["benchmark"]): result}).sections
    console.say(f"{section.title}: {section.text}\n")
    for table in section.tables:
        console.table(table)
    if skipped := result["skipped"]:
        console.say(f"left out or damaged: {len(skipped)} rows, images or videos, first: {skipped[0]}")
    if out is not None:
        write_file(out, f"{to_json(result, indent=1)}\n".encode(), inputs)
        console.say(f"wrote {shown(out)}")
    console.result(result)
