"""A folder of images with their captions beside them, one caption a line.

``photo.jpg`` is captioned by ``photo.txt`` (or ``photo.jpg.txt``) in the default language, and by
``photo.de.txt`` in German. A first folder called ``train``, ``validation`` (``val``, ``dev``) or ``test``
gives the split. Blank lines are skipped. What is not used is listed with its reason in ``corpus.unused``: images
without captions, files of other kinds, hidden files, and so on (:mod:`glotclip.data.listing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from glotclip.data.encodings import read_text, split_lines
from glotclip.data.listing import OTHER, Listing, list_folder
from glotclip.data.rows import Collector, ParsedRow
from glotclip.data.schema import Corpus, SkippedItem, known_split
from glotclip.errors import DataError
from glotclip.storage import shown

WITHOUT_CAPTIONS = "image without captions"
NO_CAPTION = "caption file without a caption"
_REASONS = {"images": WITHOUT_CAPTIONS, "videos": OTHER}


def read_folder(
    folder: Path, *, default_lang: str | None = None, images: Path | None = None, encoding: str | None = None
) -> Corpus:
    """Read every caption file below ``folder`` that lies beside its image.

    Args:
        folder: searched with all its subfolders, as :func:`~glotclip.data.listing.list_folder` does.
        default_lang: language of caption files that do not name theirs.
        images: the folder of the images, where those do not lie beside their captions: in the same folders below
            it, or all in it.
        encoding: of the caption files; see :func:`glotclip.data.encodings.read_text`.

    Raises:
        DataError: if there are no caption files, or some need ``default_lang`` and it is not given.
    """
    captions = list_folder(folder)
    if not captions.texts:
        raise DataError(
            f"{folder} holds no caption files",
            hint="put photo.txt or photo.de.txt beside photo.jpg, one caption a line; or give a .csv, .tsv or .jsonl",
        )
    home = images or folder
    gallery = captions if images is None else list_folder(images)
    by_stem = _by_stem(path.relative_to(home) for path in gallery.images)
    collector = Collector(default_lang)
    captioned: set[Path] = set()
    blank: list[SkippedItem] = []
    for path in captions.texts:
        beside = path.relative_to(folder)
        match = _image_of(beside, by_stem) or (_image_of(Path(beside.name), by_stem) if images is not None else None)
        if match is None:
            place = f"in {images}" if images is not None else "beside it"
            collector.skipped.append(SkippedItem(str(path), None, f"there is no image of this name {place}"))
            continue
        image, lang = match
        captioned.add(image)
        if lang is None and default_lang is None:
            raise DataError(
                f"{shown(path)} does not say its language",
                hint=f"call it {image.stem}.en.txt, or say the language of such files (--default-lang en)",
            )
        try:
            text = read_text(path, encoding)
        except DataError as error:
            collector.skipped.append(SkippedItem(str(path), None, error.message))
            continue
        if not collector.add(_lines(text, str(image), lang, _split_of(beside)), str(path), home):
            blank.append(SkippedItem(str(path), None, NO_CAPTION))
    unused = _unused(captions, gallery, home, captioned)
    return replace(collector.corpus(folder.resolve().name), unused=(*unused, *blank))


def _unused(captions: Listing, gallery: Listing, home: Path, captioned: set[Path]) -> list[SkippedItem]:
    """List what is not used of the folders of captions and of images, which may be one, or one in the other."""
    gallery.images = [path for path in gallery.images if path.relative_to(home) not in captioned]
    unused = gallery.unused(_REASONS)
    if gallery is captions:
        return unused
    told = {each.where for each in unused} | {str(home / path) for path in captioned}
    return [*(each for each in captions.unused(_REASONS) if each.where not in told), *unused]


def _by_stem(images: Iterable[Path]) -> dict[Path, Path]:
    """Index images by path without suffix, and by the whole path; the first of one name wins."""
    found: dict[Path, Path] = {}
    for path in images:
        found.setdefault(path.with_name(path.stem), path)
        found[path] = path
    return found


def _image_of(caption: Path, images: dict[Path, Path]) -> tuple[Path, str | None] | None:
    """Return the image a caption file belongs to, and the language its name gives."""
    stem = caption.with_name(caption.stem)
    if stem in images:
        return images[stem], None
    base, dot, lang = caption.stem.rpartition(".")
    shorter = caption.with_name(base) if dot and base else None
    return (images[shorter], lang) if shorter in images and shorter is not None else None


def _split_of(caption: Path) -> str | None:
    """Return the split that the first folder of a caption file names; ``None`` if it names none."""
    try:
        return known_split(caption.parts[0]) if len(caption.parts) > 1 else None
    except DataError:
        return None


def _lines(text: str, image: str, lang: str | None, split: str | None) -> Iterator[ParsedRow]:
    for line, caption in enumerate(split_lines(text), start=1):
        if caption.strip():
            yield line, {"text": caption, "image": image, "lang": lang, "split": split, "group": image}
