"""Vectors in clip-retrieval's layout: ``img_emb/img_emb_0.npy`` with ``metadata/metadata_0.parquet``, row by row.

What clip-inference encoded with a model need not be encoded again: the vectors are taken for the files that the
metadata name (``image_path``). That they are the model's is tried on a few pictures first.

Shapes: n vectors of a pair of files, E their width.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from glotclip.data.frame_readers import VIDEO_SUFFIXES
from glotclip.data.schema import SkippedItem
from glotclip.data.similarity import normalised
from glotclip.errors import DataError, GlotclipError, require
from glotclip.library import records, scanning, upkeep
from glotclip.library.decoding import Decoded, decode_image
from glotclip.library.encoder import Encoder, Floats
from glotclip.library.indexing import Indexer, Report
from glotclip.storage import disk_errors, shown, writing_folder

if TYPE_CHECKING:
    from glotclip.library.library import Library

VECTORS, METADATA = "img_emb", "metadata"
PATH, SECOND = "image_path", "second"
ROWS_A_FILE = 1_000_000  # as clip-inference parts them
#: Of so many pictures the vectors are compared with the model's own, and their median cosine must reach this.
TRIED, ALIKE = 5, 0.9
NOT_THERE, NO_VECTOR = "no file is there", "its vector is zero or not finite: `glotclip index` encodes it"
VIDEO = "a video, whose moments the layout does not tell: `glotclip index` encodes it"
_BATCH = 10_000


# --- out ------------------------------------------------------------------------------------------------------------


def export(library: Library, folder: Path, model: str | None = None, rows_a_file: int = ROWS_A_FILE) -> int:
    """Write the vectors of what a library shows, in half precision, with path, second, size and date of each.

    Args:
        library: the library.
        folder: must be new or empty; it appears whole or not at all.
        model: whose vectors; by default those of the model that indexed last.
        rows_a_file: vectors in a file at most.

    Returns:
        How many vectors were written.

    Raises:
        StorageError: if the folder holds anything.
        MissingExtraError: if pyarrow is not installed.
    """
    arrow: Any = require("pyarrow", extra="parquet", purpose="writing metadata")
    parquet: Any = require("pyarrow.parquet", extra="parquet", purpose="writing metadata")
    chosen = library.model(model)
    view, store = library.view(chosen)
    shown_items = records.items(library.catalogue, np.unique(view.items).tolist())
    kept = [place for place, item in enumerate(view.items.tolist()) if item in shown_items]
    moments = dict(library.catalogue.rows("SELECT row, t FROM vec WHERE model = ?", (chosen.id,)))
    with writing_folder(folder) as aside:
        (aside / VECTORS).mkdir()
        (aside / METADATA).mkdir()
        for number, start in enumerate(range(0, len(kept), rows_a_file)):
            part = kept[start : start + rows_a_file]
            rows, items = view.rows[part], [shown_items[item] for item in view.items[part].tolist()]
            out: Any = np.lib.format.open_memmap(
                aside / VECTORS / f"{VECTORS}_{number}.npy", "w+", np.float16, (len(part), chosen.dim)
            )
            for first in range(0, len(part), _BATCH):
                out[first : first + _BATCH] = store.get(rows[first : first + _BATCH])
            out.flush()
            columns = {
                PATH: [
                    os.fsencode(item.paths[0]).decode(errors="replace") for item in items
                ],  # parquet has UTF-8 alone
                SECOND: arrow.array([moments[row] for row in rows.tolist()], arrow.float64()),
                "width": [item.width for item in items],
                "height": [item.height for item in items],
                "taken": arrow.array([item.taken for item in items], arrow.int64()),
            }
            parquet.write_table(arrow.table(columns), aside / METADATA / f"{METADATA}_{number}.parquet")
    return len(kept)


# --- in -------------------------------------------------------------------------------------------------------------


class _Small:
    """Decodes a picture no larger than its date, size and looks need: its vector is there."""

    decode_size = 64

    def preprocess(self, image: Image.Image) -> Floats:
        """Nothing that could be encoded."""
        del image
        return np.zeros(0, np.float32)


class _Importer(Indexer):
    """Enters files with vectors that are given.

    Args:
        vectors: by the file's path, in whatever precision.
        given: as :class:`~glotclip.library.indexing.Indexer` takes it.
        more: likewise.
    """

    def __init__(self, vectors: dict[bytes, Floats], *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.vectors = vectors

    def decode(self, path: Path, *, video: bool) -> Decoded:
        """What a picture tells beside its vector."""
        del video  # they are passed over before
        vector = np.asarray(self.vectors[os.fsencode(path)], np.float32)
        return replace(decode_image(path, _Small()), pixels=[], vectors=normalised(vector[None]))


def take(
    library: Library, folder: Path, encoder: Encoder, progress: Callable[[int, int], None] = lambda done, total: None
) -> Report:
    """Enter the pictures of a folder in clip-retrieval's layout with their vectors, none of them encoded.

    Args:
        library: the library; the folders of the pictures become part of it.
        folder: holds ``img_emb`` and ``metadata``.
        encoder: the model that the vectors are of.
        progress: called with (done, total) files.

    Raises:
        DataError: if files are missing or do not fit together, or the vectors are of another model.
        MissingExtraError: if pyarrow is not installed.
    """
    skipped: list[SkippedItem] = []
    given: dict[bytes, Floats] = {}
    for path, vector in _rows(folder, encoder.dim):
        real = path if path.is_absolute() else folder / path
        if not real.is_file():
            skipped.append(SkippedItem(str(path), None, NOT_THERE))
        elif not np.isfinite(vector).all() or not np.any(vector):
            skipped.append(SkippedItem(str(path), None, NO_VECTOR))
        else:
            given.setdefault(os.fsencode(real.resolve()), vector)
    if not given:
        raise DataError(
            f"none of the {len(skipped):,} files that {shown(folder / METADATA)} names is there with a vector",
            hint=f"{PATH} must be paths on this machine; for addresses: `glotclip index TABLE.parquet`",
        )
    _check(encoder, given, folder)
    with library.writing(), disk_errors(library.path, "--library"):
        parents = scanning.outermost([Path(os.fsdecode(path)).parent for path in given])
        found = scanning.scan(library.catalogue, scanning.add_roots(library.catalogue, parents, None))
        mine = [each for each in found.fresh if os.fsencode(each.path) in given]
        skipped += [SkippedItem(str(each.path), None, VIDEO) for each in mine if each.video]
        scan = scanning.Scan(
            fresh=[each for each in mine if not each.video],
            unchanged=[each for each in found.unchanged if each.path in given and not _is_video(each.path)],
        )
        model = library.use(encoder)
        with library.changing_store(model, create=True) as store:
            upkeep.reconcile(library.catalogue, model, store)
            report = _Importer(given, library.catalogue, store, model, encoder, progress=progress).run(scan)
        report.skipped += skipped
        report.items = len(library)
        return report


def _is_video(path: bytes) -> bool:
    return Path(os.fsdecode(path)).suffix.lower() in VIDEO_SUFFIXES


def _rows(folder: Path, dim: int) -> Iterator[tuple[Path, Floats]]:
    """Path and vector of each row."""
    parquet: Any = require("pyarrow.parquet", extra="parquet", purpose="reading metadata")
    vectors = {path.stem.removeprefix(f"{VECTORS}_"): path for path in (folder / VECTORS).glob(f"{VECTORS}_*.npy")}
    tables = {
        path.stem.removeprefix(f"{METADATA}_"): path for path in (folder / METADATA).glob(f"{METADATA}_*.parquet")
    }
    if not vectors or vectors.keys() != tables.keys():
        alone = sorted(vectors.keys() ^ tables.keys())
        raise DataError(
            f"{shown(folder)} has {len(vectors)} files of vectors and {len(tables)} of metadata"
            + (f"; without their other half: {', '.join(alone[:5])}" if alone else ""),
            hint=f"it should hold {VECTORS}/{VECTORS}_0.npy, {METADATA}/{METADATA}_0.parquet, …",
        )
    for number in sorted(vectors, key=lambda each: (len(each), each)):
        try:
            matrix = np.load(vectors[number], mmap_mode="r", allow_pickle=False)
            names = parquet.read_schema(tables[number]).names
            paths = (
                parquet.read_table(tables[number], columns=[PATH]).column(PATH).to_pylist() if PATH in names else None
            )
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"{shown(vectors[number])} or its metadata cannot be read ({error})", hint="get them anew"
            ) from error
        if paths is None:
            raise DataError(
                f"{shown(tables[number])} has no column {PATH}; it has {', '.join(names)}",
                hint="write metadata with the paths of the pictures",
            )
        if matrix.ndim != 2 or matrix.dtype.kind != "f" or len(matrix) != len(paths):
            raise DataError(
                f"{shown(vectors[number])} has shape {matrix.shape} of {matrix.dtype}, and its metadata "
                f"{len(paths):,} rows",
                hint="get the two files of one run",
            )
        if matrix.shape[1] != dim:
            raise DataError(
                f"{shown(vectors[number])} has vectors of {matrix.shape[1]} numbers, and the model {dim}",
                hint="name the model that made them: --model",
            )
        for place, path in enumerate(paths):
            if path:
                yield Path(path), matrix[place]  # of the file, not of memory: there may be many millions


def _check(encoder: Encoder, given: dict[bytes, Floats], folder: Path) -> None:
    """Raise :class:`DataError` unless a few vectors are what the model makes of their pictures."""
    cosines = []
    for key in list(given)[:: max(1, len(given) // (4 * TRIED))]:
        try:
            pixels = decode_image(Path(os.fsdecode(key)), encoder).pixels
        except GlotclipError:
            continue
        own = encoder.encode_images(pixels)[0]
        cosines.append(float(own @ normalised(np.asarray(given[key], np.float32)[None])[0]))
        if len(cosines) == TRIED:
            break
    if cosines and np.median(cosines) < ALIKE:
        raise DataError(
            f"the vectors of {shown(folder)} are not those of {encoder.name}: of {len(cosines)} pictures the cosine "
            f"with its own is {np.median(cosines):.2f}",
            hint="name the model that made them: --model",
        )
