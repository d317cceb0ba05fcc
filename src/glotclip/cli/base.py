"""``glotclip train-base``: recreate the built-in English base; ``glotclip finetune``: a base on one's own pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from glotclip.cli.console import BaseOption, Console, Progress, duration
from glotclip.cli.options import HOLD_OUT, MAX_SKIPPED, DefaultLang, Encoding, HoldOut, Images, MaxSkipped, say_notes


def train_base(
    out: Annotated[Path, typer.Option(help="The folder to write; it must not exist yet.")],
    recipe: Annotated[Path | None, typer.Option(help="A YAML file of settings.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train an English CLIP on the emoji dataset: a text tower from scratch beside a frozen image trunk.

    Stopped by Ctrl-C or killed, the same command goes on where it was.
    """
    import torch

    from glotclip.api.bases import training_checkpoint
    from glotclip.config import parse_assignments, read_recipe, settings_from
    from glotclip.models.checkpoints import save_base
    from glotclip.training.base import BaseSettings, train_emoji_base

    console = Console(as_json)
    values = {**(read_recipe(recipe) if recipe else {}), **parse_assignments(settings or [])}
    chosen = settings_from(BaseSettings, values, where="the settings")
    target = out.absolute()
    checkpoint = training_checkpoint(target, (recipe,))
    with Progress() as progress:
        encoder, result = train_emoji_base(
            chosen,
            checkpoint=checkpoint,
            log=lambda numbers: progress(
                "training", numbers["step"], numbers["total"], f"loss {numbers['loss']:.4f}"
            ),
            progress=progress,
        )
    facts = {"settings": chosen.model_dump(mode="json"), "steps": result.steps, "seconds": round(result.seconds, 1)}
    notes = {"training.json": json.dumps(facts, indent=1) + "\n"}
    save_base(encoder, target, dtype=torch.float16, notes=notes)  # its weights are rounded to it already
    checkpoint.unlink(missing_ok=True)
    console.say(f"{result.steps} steps in {duration(result.seconds)}; wrote {out}")
    console.result({"folder": str(out), "fingerprint": encoder.fingerprint, **facts})


def finetune(
    model: Annotated[str, typer.Argument(help="emoji-clip, a hub id or a checkpoint.")],
    out: Annotated[Path, typer.Option(help="The folder of the new base; it must not exist yet.")],
    data: Annotated[str, typer.Option(help="emoji, or a caption file or folder with English captions.")],
    recipe: Annotated[Path | None, typer.Option(help="A YAML file of settings.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting; may be repeated.")
    ] = None,
    images: Images = None,
    default_lang: DefaultLang = None,
    encoding: Encoding = None,
    max_skipped: MaxSkipped = MAX_SKIPPED,
    hold_out: HoldOut = HOLD_OUT,
    base: BaseOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fine-tune both towers of a base on English pairs, and write the result as a new base.

    Packs of the old base can then be moved onto it with `glotclip pack rebase`. Stopped or killed, the same command
    goes on where it was.
    """
    from glotclip import api
    from glotclip.config import parse_assignments

    console = Console(as_json)
    with Progress() as progress:
        done = api.finetune(
            model,
            data=data,
            out=out,
            recipe=recipe,
            settings=parse_assignments(settings or []),
            device=device,
            base=base,
            log=lambda numbers: progress(
                "training", numbers["step"], numbers["total"], f"loss {numbers['loss']:.4f}"
            ),
            images=images,
            default_lang=default_lang,
            encoding=encoding,
            max_skipped=max_skipped,
            hold_out=hold_out,
        )
    say_notes(console, done.notes)
    if done.skipped:
        console.say(f"{len(done.skipped)} pictures could not be read; all in {out / 'skipped.txt'}")
    console.say(f"{done.steps} steps in {duration(done.seconds)}; wrote {out}")
    console.result(
        {
            "folder": str(out),
            "fingerprint": done.fingerprint,
            "steps": done.steps,
            "seconds": round(done.seconds, 1),
            "notes": list(done.notes),
        }
    )
