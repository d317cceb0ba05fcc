"""Exporting a model to run without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glotclip.api.bases import load
from glotclip.api.progress import Progress, silent
from glotclip.languages import normalise_all
from glotclip.onnx import export as writing
from glotclip.onnx.export import LIMIT, Wish
from glotclip.onnx.manifest import Export
from glotclip.ownership import check_new
from glotclip.packs.folder import Base
from glotclip.packs.polyglot import Polyglot
from glotclip.packs.terms import warn_of_terms


def export(
    model: Polyglot | str | Path,
    out: str | Path,
    *,
    precision: Wish = "auto",
    languages: str | Sequence[str] | None = None,
    images: str | Path | None = None,
    limit: float = LIMIT,
    base: Base | None = None,
    progress: Progress = silent,
) -> Export:
    """Write a model as a folder that :class:`glotclip.OnnxEncoder` and ``glotclip search`` run without torch.

    Args:
        model: a loaded model, or what :func:`glotclip.load` takes.
        out: the folder to write; it must not exist yet, or be empty.
        precision: "fp32", "int8", or "auto": int8 for the text tower and for the image tower where its features are
            near enough to the model's.
        languages: which of the model's; all if not given.
        images: a folder of images to compare features on, best some that will be searched; if not given, drawn ones.
        limit: the cosine with the model's feature that every sample must reach in int8.
        base: as :func:`glotclip.load` takes it.
        progress: called with (what, done, total).

    Returns:
        What was written: graphs, their precision and how near they are to the model, and languages that cannot be
        exported, with the reason.

    Raises:
        ConfigError: if a tower of the base cannot be written as a graph, or the precision is unknown.
        LanguageError: if the model has not one of the languages.
        MissingExtraError: if the exporter is not installed.
        StorageError: if ``out`` holds anything.
    """
    chosen = None if languages is None else normalise_all(languages)
    check_new(Path(out), [model if isinstance(model, str | Path) else None, images])
    writing.check_tools(precision)
    polyglot = model if isinstance(model, Polyglot) else load(model, device="cpu", base=base)
    served = [polyglot.pack_of(code) for code in chosen or polyglot.languages]
    warn_of_terms({id(pack): pack.manifest for pack in served if pack is not None}.values())
    return writing.export(
        polyglot, out, precision=precision, languages=chosen, images=None if images is None else Path(images),
        limit=limit, progress=progress,
    )  # fmt: skip
