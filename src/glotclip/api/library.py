"""Libraries from Python: opening one, and bringing it up to date with a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from glotclip.errors import ConfigError
from glotclip.library.encoder import Encoder
from glotclip.library.indexing import BATCH, Report
from glotclip.library.library import Library

if TYPE_CHECKING:
    from glotclip.library.sharing import Share
    from glotclip.packs.folder import Base
    from glotclip.packs.polyglot import Polyglot

DEFAULT_MODEL = "photo-clip"


def open_library(path: str | Path | None = None, *, device: str = "auto", base: Base | None = None) -> Library:
    """Open a library that ``glotclip index`` or :func:`index` made.

    Its models are loaded when a query first needs them.

    Args:
        path: the library's folder; by default ``$GLOTCLIP_LIBRARY``, else the one in the user's data folder.
        device: where queries are encoded: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        base: as :func:`glotclip.load` takes it, for models whose base has moved.

    Raises:
        StorageError: if there is no library, or it is damaged.
    """
    return Library(path, find_encoder=partial(encoder_of, device=device, base=base))


def index(
    folders: str | Path | Sequence[str | Path] = (),
    library: str | Path | Library | None = None,
    *,
    model: str | Path | Polyglot | Encoder | None = None,
    exclude: Sequence[str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    base: Base | None = None,
    batch: int = BATCH,
    threads: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Bring a library up to date with folders of pictures and videos; it is made if it is not there.

    Args:
        folders: become part of the library; without any, all that it is made of is looked at again.
        library: its folder, by default as in :func:`open_library`; or an open one.
        model: what encodes; by default the model that indexed last, and ``photo-clip`` for a new library.
        exclude: patterns of names that are left out; see :meth:`glotclip.library.library.Library.index`.
        device: where the model computes.
        precision: that pictures are encoded in; see :func:`encoder_of`. Pictures as queries are encoded in fp32.
        base: as :func:`glotclip.load` takes it.
        batch: pictures that are encoded at once.
        threads: that decode; as many as there are cores if not given.
        progress: called with (done, total) files.

    Raises:
        DataError: if one of the folders is none.
        StorageError: if the disk refuses, or another process is indexing. What was done is kept.
    """
    listed = [folders] if isinstance(folders, str | Path) else list(folders)
    opened = library if isinstance(library, Library) else Library(library, create=True)
    try:
        known = opened.models
        chosen = model if model is not None else known[0].source if known else DEFAULT_MODEL
        return opened.index(
            listed, encoder=encoder_of(chosen, device=device, precision=precision, base=base),
            exclude=exclude, batch=batch, threads=threads, progress=progress,
        )  # fmt: skip
    finally:
        if opened is not library:
            opened.close()


def encoder_of(
    model: str | Path | Polyglot | Encoder, *, device: str = "auto", precision: str = "fp32", base: Base | None = None
) -> Encoder:
    """The encoder that a model is.

    Args:
        model: a folder that ``glotclip export`` wrote, which runs without torch; a polyglot, or what
            :func:`glotclip.load` takes; or an encoder itself.
        device: where the model computes.
        precision: that pictures are encoded in: fp32, bf16, fp16, or auto, which is bf16 where the hardware has
            it. Towers of convolutions ignore it.
        base: as :func:`glotclip.load` takes it.

    Raises:
        ConfigError: if there is no such precision, or the model has its own.
    """
    from glotclip.onnx.encoder import OnnxEncoder
    from glotclip.onnx.manifest import is_export

    if isinstance(model, OnnxEncoder) or (isinstance(model, str | Path) and is_export(model)):
        if precision not in ("auto", "fp32"):
            raise ConfigError(
                "a model that was exported has a precision of its own",
                hint="leave out precision (--precision), or export the model again with another one",
            )
        return model if isinstance(model, OnnxEncoder) else OnnxEncoder(model)
    from glotclip.library.torch_encoder import TorchEncoder
    from glotclip.packs.folder import PolyglotFolder
    from glotclip.packs.polyglot import Polyglot

    if isinstance(model, str | Path):
        from glotclip.api.bases import load

        taught = str(Path(model).resolve()) if PolyglotFolder.is_one(model) else None
        return TorchEncoder(load(model, device=device, base=base), taught, precision)
    return TorchEncoder(model, precision=precision) if isinstance(model, Polyglot) else model


def share_of_processes() -> Share:
    """Which of torchrun's processes this is, or the only one.

    An accelerator is taken by the process's number on its machine.
    """
    import os

    from glotclip.library.sharing import Share

    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world < 2 or "TORCHELASTIC_RUN_ID" not in os.environ:
        return Share(0, 1, lambda: None)
    from datetime import timedelta

    import torch
    from torch import distributed

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    distributed.init_process_group("gloo", timeout=timedelta(days=30))  # one may have much more to decode
    return Share(int(os.environ["RANK"]), world, distributed.barrier)
