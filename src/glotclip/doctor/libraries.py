"""The library that commands use by default: whether it opens, and its folders and vectors are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from glotclip.doctor.check import Case, Finding, check
from glotclip.errors import GlotclipError
from glotclip.library import records
from glotclip.library.catalogue import FILE
from glotclip.library.library import Library
from glotclip.library.place import library_path
from glotclip.library.records import Model
from glotclip.library.stores import engine_of
from glotclip.storage import shown


@check("library")
def libraries(case: Case) -> Iterator[Finding]:
    """The catalogue, folders, and the vectors of each model."""
    path = library_path()
    if not (path / FILE).exists():
        yield Finding("library", f"none in {shown(path)}", "missing", "glotclip index DIR")
        return
    try:
        with Library(path) as library:
            yield from _parts(library)
    except GlotclipError as error:
        yield Finding("library", error.message, "broken", error.hint)


def _parts(library: Library) -> Iterator[Finding]:
    yield Finding("library", f"{len(library):,} pictures and videos in {shown(library.path)}")
    for problem in library.catalogue.rows("PRAGMA quick_check"):
        if problem[0] != "ok":
            yield Finding("catalogue", str(problem[0]), "broken", "move the library away and index again")
    for root in library.roots:
        if root.path.is_dir():
            yield Finding("folder", shown(root.path))
        else:
            yield Finding(
                "folder", f"{shown(root.path)} is not there; what was indexed of it stays until it is", "missing",
                "mount the drive, or `glotclip index` once the folder is there",
            )  # fmt: skip
    for model in library.models:
        yield _vectors(library, model)


def _vectors(library: Library, model: Model) -> Finding:
    expected = len(records.rows_of(library.catalogue, model))
    try:
        with closing(library.view(model)[1]) as store:
            held = len(store)
    except GlotclipError as error:
        return Finding(model.source, error.message, "broken", error.hint)
    engine = engine_of(model.store_url)
    if held < expected:
        said = f"{expected - held:,} of {expected:,} vectors are not in the {engine} store"
        return Finding(model.source, said, "broken", f"glotclip index --model {model.source}")
    return Finding(model.source, f"{expected:,} vectors of {model.dim} numbers ({engine})")
