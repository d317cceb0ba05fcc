"""Loading models; fine-tuning a base, and moving packs onto what comes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glotclip.api.common import ENGLISH, SKIPPED, opened, skipped_text
from glotclip.api.config import FinetuneConfig, config_of, documented, recipe_settings
from glotclip.config import settings_from
from glotclip.data.mixture import names_of
from glotclip.data.schema import SkippedItem
from glotclip.errors import ConfigError, StorageError
from glotclip.models.checkpoints import load_base, save_base
from glotclip.models.device import choose_device
from glotclip.models.dual_encoder import DualEncoder
from glotclip.ownership import check_new
from glotclip.packs.archive import is_archive
from glotclip.packs.base_source import absolute
from glotclip.packs.folder import Base, PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import to_json
from glotclip.training import checkpoint as checkpoints


def load(name_or_path: str | Path, *, device: str = "auto", base: Base | None = None) -> Polyglot:
    """Load a model ready to encode texts and images.

    Args:
        name_or_path: a built-in name (``photo-clip``, ``emoji-clip``, …), a hub id, a checkpoint folder or file, or
            a folder made by ``extend``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        base: for a folder made by ``extend`` whose base has moved: where it is now, or the base or a model on it,
            already loaded. Its fingerprint must be the one the folder names.

    Raises:
        CheckpointError: if there is no such model, or it cannot be read.
        PackError: if a pack in the folder is damaged or belongs to another base.
        ConfigError: if ``base`` is given for something that is no folder made by ``extend``.
    """
    if PolyglotFolder.is_one(name_or_path):
        polyglot = Polyglot.open(name_or_path, base)
    elif base is not None:
        raise ConfigError(
            f"{name_or_path} is no folder made by `glotclip extend`, so it has no base that could have moved",
            hint="leave the base out",
        )
    elif is_archive(name_or_path) and Path(name_or_path).is_file():
        raise ConfigError(
            f"{name_or_path} is an archive",
            hint="unpack it and load the folder in it, or add its packs to a model: `glotclip pack add FOLDER "
            f"{name_or_path}`",
        )
    else:
        polyglot = Polyglot(load_base(str(name_or_path)), source=absolute(str(name_or_path)))
    return polyglot.to(choose_device(device))


@dataclass(frozen=True)
class Finetuned:
    """What :func:`finetune` made: the new base's folder and fingerprint, and what the run did."""

    folder: Path
    fingerprint: str
    steps: int
    seconds: float
    skipped: tuple[SkippedItem, ...] = ()
    notes: tuple[str, ...] = ()


@documented(FinetuneConfig)
def finetune(
    model: str | Path | DualEncoder,
    *,
    log: Callable[[dict[str, Any]], None] = lambda numbers: None,
    **options: Any,
) -> Finetuned:
    """Fine-tune both towers of a base on English pairs, and save the result as a new base (MLA's FT-En).

    Options are those of :class:`~glotclip.api.config.FinetuneConfig`; settings those of
    :class:`~glotclip.training.finetune.FinetuneSettings`.

    Args:
        model: the base, or what :func:`load` takes; packs of a folder are not touched.
        log: called after every step with its numbers.
        options: further keyword arguments are refused.

    Raises:
        StorageError: if ``out`` exists.
        DataError: if the data has no English training pairs.
    """
    from glotclip.training import finetune as tuning

    config = config_of(FinetuneConfig, {"model": model, **options})
    target, data = Path(config.out).absolute(), config.data
    inputs = (model if isinstance(model, str | Path) else None, *names_of(data))
    checkpoint = training_checkpoint(target, inputs)
    values = {**recipe_settings(FinetuneConfig, config.recipe), **config.settings}
    chosen = settings_from(tuning.FinetuneSettings, values, where="the settings")
    start = load(model, device=config.device, base=config.base).base if isinstance(model, str | Path) else model
    dataset = opened(data, config.reading)
    corpus = dataset.corpus([ENGLISH])
    notes = dataset.notes([ENGLISH]) or corpus.notes
    encoder, result, unread = tuning.finetune(start, corpus, chosen, name=target.name, checkpoint=checkpoint, log=log)
    facts = {
        "settings": chosen.model_dump(mode="json"), "base": start.fingerprint, "data": dataset.name,
        "steps": result.steps, "seconds": round(result.seconds, 1),
    }  # fmt: skip
    skipped = (*corpus.skipped, *corpus.unused, *unread)
    files = {"training.json": to_json(facts, indent=1) + "\n"}
    if skipped or notes:
        files[SKIPPED] = skipped_text(skipped, notes)
    save_base(encoder, target, notes=files)
    checkpoint.unlink(missing_ok=True)
    return Finetuned(Path(config.out), encoder.fingerprint, result.steps, result.seconds, skipped, notes)


def training_checkpoint(out: Path, inputs: Iterable[str | Path | None]) -> Path:
    """The file beside ``out``, which must not exist yet, from which a killed training of a base goes on.

    Raises:
        StorageError: if ``out`` exists or is an input, or something else lies in the file's place.
    """
    check_new(out, inputs)
    path = out.with_name(f".{out.name}.training.safetensors")
    if os.path.lexists(path) and not checkpoints.is_one(path):
        raise StorageError(
            f"{path} is where the training would be saved, and is no checkpoint of glotclip",
            hint="move it elsewhere, or choose another --out",
        )
    return path


def rebase(
    folder: str | Path, base: str | Path | DualEncoder, out: str | Path, *, old_base: Base | None = None
) -> Polyglot:
    """Copy a model's packs onto another base of the same shape, and return the model that was made.

    Args:
        folder: made by :func:`extend`.
        base: a fine-tuned copy of its base.
        out: the folder to write; it must not exist yet, or be empty.
        old_base: where the folder's own base is, if it has moved; as :func:`load` takes it.

    Raises:
        ConfigError: if the new base has another tokenizer or text geometry.
        StorageError: if ``out`` holds anything.
    """
    from glotclip.packs.exchange import check_target
    from glotclip.packs.exchange import rebase as move

    check_target(Path(out), (folder, base if isinstance(base, str | Path) else None))
    onto = Polyglot(base) if isinstance(base, DualEncoder) else load(base)
    made = move(PolyglotFolder(folder), onto.base, onto.source, Path(out), old_base=old_base)
    return Polyglot.open(made, onto.base)
