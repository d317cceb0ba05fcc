"""Searching a folder of images with a text in any language of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from glotclip.api.progress import Progress, silent
from glotclip.data.listing import OTHER, list_folder, summary
from glotclip.data.schema import SkippedItem
from glotclip.errors import ConfigError, DataError, asks_for_torch
from glotclip.gallery.rank import Hit, rank
from glotclip.languages import check_installed
from glotclip.library.query import utf8
from glotclip.models.windows import Long
from glotclip.onnx.encoder import OnnxEncoder
from glotclip.onnx.manifest import is_export
from glotclip.packs.guess import AUTO, Guess
from glotclip.storage import shown
from glotclip.translate.translator import translator_of

if TYPE_CHECKING:
    from glotclip.packs.folder import Base
    from glotclip.packs.polyglot import Polyglot
    from glotclip.translate.engine import Engine


VIDEO = "video: only images are searched"


@dataclass(frozen=True)
class SearchResult:
    """The answer to one query.

    Attributes:
        query: as it was asked.
        lang: in which language it was read; where that was guessed, the most probable one.
        guess: how the language was guessed; None where it was given or there was only one.
        among: the languages it could have been.
        weights: the languages it was encoded under, and their shares, which add up to 1: several where more than one
            is plausible.
        hits: the best images, best first: ``path``, and ``score`` from −1 to 1.
        searched: how many images were compared.
        unreadable: images that could not be read, and why.
        unused: whatever else lies in the folder, and why it was not used: videos, other files, hidden and linked
            folders, … Together with ``searched`` and ``unreadable`` this accounts for all that lies there.
    """

    query: str
    lang: str
    guess: Guess | None
    among: tuple[str, ...]
    weights: Mapping[str, float]
    hits: tuple[Hit, ...]
    searched: int
    unreadable: tuple[SkippedItem, ...] = ()
    unused: tuple[SkippedItem, ...] = ()

    @property
    def guessed(self) -> bool:
        """Whether the language was guessed among several."""
        return self.guess is not None


def search(
    model: Polyglot | OnnxEncoder | str | Path,
    images: str | Path | Sequence[str | Path],
    query: str,
    lang: str | None = None,
    *,
    top: int = 5,
    long: Long = "cut",
    translator: Engine | str | None = None,
    device: str = "auto",
    base: Base | None = None,
    cache: Path | None = None,
    progress: Progress = silent,
) -> SearchResult:
    """Find the images that fit a text best. Every image is compared, so the result is exact.

    Images are encoded once and remembered by their content; a second query costs one matrix product.

    Args:
        model: a loaded model, what :func:`glotclip.load` takes, or a folder made by ``glotclip export``, which needs
            no torch.
        images: a folder, which is searched with all folders in it; or paths of images.
        query: what the image shows, in any language of the model.
        lang: the query's language; guessed if not given or "auto". Where the guess is not sure, the query is read
            in the likely languages, and their rankings are fused (:mod:`glotclip.gallery.fusion`).
        top: how many images to return at most.
        long: what becomes of a query longer than the context, as :meth:`glotclip.Polyglot.encode_text` takes it.
        translator: translates queries in languages that were learnt with ``text=to-english``: an engine, or its
            name as in :mod:`glotclip.translate.translator`.
        device: where to compute, for a model that is not loaded yet.
        base: as :func:`glotclip.load` takes it, likewise.
        cache: root of the caches of features and translations.
        progress: called with (what, done, total) while images that are new are read.

    Raises:
        ConfigError: if the query is empty or no UTF-8, or ``top`` is less than 1.
        DataError: if there is no such folder, or no image that can be read.
        LanguageError: if the language is not installed.
    """
    query = utf8(query)
    paths, unused = _images_in(images) if isinstance(images, str | Path) else ([Path(path) for path in images], [])
    polyglot = opened(model, device, base) if isinstance(model, str | Path) else model
    guess = polyglot.guess([query])[0] if lang in (None, "", AUTO) else None
    code = guess.lang if guess else check_installed(lang or "", polyglot.languages)
    weights = guess.plausible if guess else {code: 1.0}
    if any(map(polyglot.reads_translations, weights)):  # a translation is of one language
        weights = {code: 1.0}
    asked = _as_taught(query, code, translator, cache) if polyglot.reads_translations(code) else query
    show = partial(progress, "images")
    found = rank(polyglot, paths, [asked], [weights], top=top, long=long, cache=cache, progress=show)
    told = guess if len(polyglot.languages) > 1 else None
    among = tuple(polyglot.languages) if told else (code,)
    return SearchResult(
        query, code, told, among, weights, found.hits[0], found.searched, found.skipped, tuple(unused)
    )


def opened(model: str | Path, device: str = "auto", base: Base | None = None) -> Polyglot | OnnxEncoder:
    """Open what can be searched with: a folder made by ``glotclip export``, or what :func:`glotclip.load` takes.

    Raises:
        MissingExtraError: if it needs torch, which is not installed.
    """
    if is_export(model):
        return OnnxEncoder(model)
    with asks_for_torch(f"the model {model}"):
        from glotclip.api.bases import load

    return load(model, device=device, base=base)


def _images_in(folder: str | Path) -> tuple[list[Path], list[SkippedItem]]:
    """The images of a folder, and what else lies there.

    Raises:
        DataError: if there is no such folder, or no image in it.
    """
    listing = list_folder(Path(folder))
    unused = listing.unused({"videos": VIDEO, "texts": OTHER})
    if not listing.images:
        there = "; ".join(summary(unused, Path(folder)))
        raise DataError(
            f"there is no image in {shown(Path(folder))}" + (f", only {there}" if there else ""),
            hint="images are files such as .jpg, .png, .webp, .avif, .tiff, .jp2; .heic with glotclip[photos]",
        )
    return listing.images, unused


def _as_taught(query: str, lang: str, translator: Engine | str | None, cache: Path | None) -> str:
    """Translate a query in a language that was taught on translations into English."""
    if translator is None:
        raise ConfigError(
            f"{lang!r} was taught on texts machine-translated into English",
            hint="name an engine that translates the query, e.g. --translator apertium",
        )
    return translator_of(translator, cache).translate([query], lang, "en")[0]
