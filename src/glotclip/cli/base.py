"""``glotclip train-base``: recreate the built-in English base; ``glotclip finetune``: a base on one's own pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from glotclip.api.config import FinetuneConfig
from glotclip.cli.console import Console, Progress, duration
from glotclip.cli.options import say_notes, takes


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
            chosen, checkpoint=checkpoint, log=partial(_show, progress), progress=progress
        )
    facts = {"settings": chosen.model_dump(mode="json"), "steps": result.steps, "seconds": round(result.seconds, 1)}
    notes = {"training.json": json.dumps(facts, indent=1) + "\n"}
    save_base(encoder, target, dtype=torch.float16, notes=notes)  # its weights are rounded to it already
    checkpoint.unlink(missing_ok=True)
    console.say(f"{result.steps} steps in {duration(result.seconds)}; wrote {out}")
    console.result({"folder": str(out), "fingerprint": encoder.fingerprint, **facts})


@takes(FinetuneConfig)
def finetune(
    config: FinetuneConfig, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Fine-tune both towers of a base on English pairs, and write the result as a new base.

    Packs of the old base can then be moved onto it with `glotclip pack rebase`. Stopped or killed, the same command
    goes on where it was.
    """
    from glotclip import api

    console = Console(as_json)
    with Progress() as progress:
        done = api.finetune(**dict(config), log=partial(_show, progress))
    say_notes(console, done.notes)
    if done.skipped:
        console.say(f"{len(done.skipped)} images could not be read; all in {Path(config.out) / 'skipped.txt'}")
    console.say(f"{done.steps} steps in {duration(done.seconds)}; wrote {config.out}")
    facts = {"fingerprint": done.fingerprint, "steps": done.steps, "seconds": round(done.seconds, 1)}
    console.result({"folder": str(config.out), **facts, "notes": list(done.notes)})


def _show(progress: Progress, numbers: Mapping[str, Any]) -> None:
    progress("training", numbers["step"], numbers["total"], f"loss {numbers['loss']:.4f}")
