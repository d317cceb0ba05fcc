"""Loading models; fine-tuning a base, and moving packs onto what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from glotclip.api.common import ENGLISH, list_skipped, opened
from glotclip.config import read_recipe, settings_from
from glotclip.data.dataset import Dataset, Reading
from glotclip.data.schema import BadRow
from glotclip.errors import StorageError
from glotclip.models.checkpoints import load_base, save_base
from glotclip.models.device import choose_device
from glotclip.models.dual_encoder import DualEncoder
from glotclip.packs.folder import PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import write_json


def load(name_or_path: str | Path, *, device: str = "auto", base: DualEncoder | None = None) -> Polyglot:
    """Load a model ready to encode texts and pictures.

    Args:
        name_or_path: ``emoji-clip``, a hub id, a checkpoint folder or file, or a folder made by ``extend``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        base: for a folder made by ``extend`` whose base has moved: the base, already loaded.

    Raises:
        CheckpointError: if there is no such model, or it cannot be read.
        PackError: if a pack in the folder is damaged or belongs to another base.
    """
    if PolyglotFolder.is_one(name_or_path):
        polyglot = PolyglotFolder(name_or_path).load(base)
    else:
        where = Path(name_or_path)
        source = str(where.resolve()) if where.exists() else str(name_or_path)
        polyglot = Polyglot(base or load_base(str(name_or_path)), source=source)
    return polyglot.to(choose_device(device))


@dataclass(frozen=True)
class Finetuned:
    """What :func:`finetune` made: the new base's folder and fingerprint, and what the run did."""

    folder: Path
    fingerprint: str
    steps: int
    seconds: float
    skipped: tuple[BadRow, ...] = ()
    notes: tuple[str, ...] = ()


def finetune(
    model: str | Path | DualEncoder,
    *,
    data: str | Path | Dataset,
    out: str | Path,
    recipe: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    log: Callable[[dict[str, Any]], None] | None = None,
    **reading: Unpack[Reading],
) -> Finetuned:
    """Fine-tune both towers of a base on English pairs, and save the result as a new base (MLA's FT-En).

    Args:
        model: the base, or what :func:`load` takes; packs of a folder are not touched.
        data: ``emoji``, or a caption file or folder with English captions.
        out: the folder to write; it must not exist yet.
        recipe: a YAML file of settings that differ from :class:`~glotclip.training.finetune.FinetuneSettings`.
        settings: settings that differ from the recipe.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        log: called after every step with its numbers.
        reading: how data of one's own is read: ``images``, ``default_lang``, ``encoding``, ``max_skipped``,
            ``hold_out``; see :class:`glotclip.data.dataset.Reading`.

    Raises:
        StorageError: if ``out`` exists.
        DataError: if the data has no English training pairs.
    """
    from glotclip.training import finetune as tuning

    target = Path(out)
    if target.exists():
        raise StorageError(f"{target} is there already", hint="choose another --out, or remove it")
    values = {**(read_recipe(Path(recipe)) if recipe else {}), **(settings or {})}
    chosen = settings_from(tuning.FinetuneSettings, values, where="the settings")
    base = load(model, device=device).base if isinstance(model, str | Path) else model
    dataset = opened(data, reading)
    corpus = dataset.corpus([ENGLISH])
    notes = dataset.notes([ENGLISH]) or corpus.notes
    checkpoint = target.with_name(f".{target.name}.training.safetensors")
    encoder, result, bad = tuning.finetune(base, corpus, chosen, name=target.name, checkpoint=checkpoint, log=log)
    save_base(encoder, target)
    facts = {"settings": chosen.model_dump(mode="json"), "base": base.fingerprint, "data": dataset.name}
    write_json(target / "training.json", {**facts, "steps": result.steps, "seconds": round(result.seconds, 1)})
    skipped = (*corpus.bad, *corpus.unused, *bad)
    list_skipped(target, skipped, notes)
    checkpoint.unlink(missing_ok=True)
    return Finetuned(target, encoder.fingerprint, result.steps, result.seconds, skipped, notes)


def rebase(folder: str | Path, base: str | Path | DualEncoder, out: str | Path) -> Polyglot:
    """Copy a model's packs onto another base of the same shape, and return the model that was made.

    Args:
        folder: made by :func:`extend`.
        base: a fine-tuned copy of its base.
        out: the folder to write.

    Raises:
        ConfigError: if the new base has another tokenizer or text geometry.
    """
    from glotclip.packs.rebase import rebase as move

    onto = Polyglot(base) if isinstance(base, DualEncoder) else load(base)
    return move(PolyglotFolder(folder), onto.base, onto.source, Path(out)).load(onto.base)
