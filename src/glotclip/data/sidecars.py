"""A folder of pictures with their captions beside them, one caption a line.

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
from glotclip.data.listing import OTHER, list_folder
from glotclip.data.readers import Tally, collect, corpus_of
from glotclip.data.schema import Corpus, Row, SkippedItem, known_split
from glotclip.data.tables import Found
from glotclip.errors import DataError
from glotclip.storage import shown

WITHOUT_CAPTIONS = "image without captions"
NO_CAPTION = "caption file without a caption"


def read_folder(
    folder: Path,
    *,
    default_lang: str | None = None,
    images: Path | None = None,
    encoding: str | None = None,
    name: str | None = None,
) -> Corpus:
    """Read every caption file below ``folder`` that lies beside its picture.

    Args:
        folder: searched with all its subfolders, as :func:`~glotclip.data.listing.list_folder` does.
        default_lang: language of caption files that do not name theirs.
        images: the folder of the pictures, where those do not lie beside their captions: in the same folders below
            it, or all in it.
        encoding: of the caption files; see :func:`glotclip.data.encodings.read_text`.
        name: what the corpus is called; ``None``: the folder's name.

    Raises:
        DataError: if there are no caption files, or some need ``default_lang`` and it is not given.
    """
    rows: list[Row] = []
    bad: list[SkippedItem] = []
    tally = Tally()
    listing = list_folder(folder)
    home = images or folder
    gallery = listing if images is None else list_folder(images)
    pictures = _by_stem(path.relative_to(home) for path in gallery.images)
    captioned: set[Path] = set()
    blank: list[SkippedItem] = []
    if not listing.texts:
        raise DataError(
            f"{folder} holds no caption files",
            hint="put photo.txt or photo.de.txt beside photo.jpg, one caption a line; or give a .csv, .tsv or .jsonl",
        )
    for path in listing.texts:
        beside = path.relative_to(folder)
        match = _picture_of(beside, pictures)
        if match is None and images is not None:
            match = _picture_of(Path(beside.name), pictures)
        if match is None:
            place = f"in {images}" if images is not None else "beside it"
            bad.append(SkippedItem(str(path), None, f"there is no picture of this name {place}"))
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
            bad.append(SkippedItem(str(path), None, error.message))
            continue
        found = _lines(text, str(image), lang, _split_of(beside), group=str(image))
        good, wrong = collect(found, where=str(path), default_lang=default_lang, root=home, tally=tally)
        rows += good
        bad += wrong
        if not good and not wrong:
            blank.append(SkippedItem(str(path), None, NO_CAPTION))
    gallery.images = [path for path in gallery.images if path.relative_to(home) not in captioned]
    unused = gallery.unused({"images": WITHOUT_CAPTIONS, "videos": OTHER})
    if images is not None:  # one may lie in the other
        told = {each.where for each in unused} | {str(home / path) for path in captioned}
        rest = listing.unused({"images": WITHOUT_CAPTIONS, "videos": OTHER})
        unused = [*(each for each in rest if each.where not in told), *unused]
    corpus = corpus_of(name or folder.resolve().name, rows, bad, tally)
    return replace(corpus, unused=(*unused, *blank))


def _by_stem(pictures: Iterable[Path]) -> dict[Path, Path]:
    """Index pictures by path without suffix, and by the whole path; the first of one name wins."""
    found: dict[Path, Path] = {}
    for path in pictures:
        found.setdefault(path.with_name(path.stem), path)
        found[path] = path
    return found


def _picture_of(caption: Path, pictures: dict[Path, Path]) -> tuple[Path, str | None] | None:
    """Return the picture a caption file belongs to, and the language its name gives."""
    stem = caption.with_name(caption.stem)
    if stem in pictures:
        return pictures[stem], None
    base, dot, lang = caption.stem.rpartition(".")
    shorter = caption.with_name(base) if dot and base else None
    return (pictures[shorter], lang) if shorter in pictures and shorter is not None else None


def _split_of(caption: Path) -> str | None:
    """Return the split that the first folder of a caption file names; ``None`` if it names none."""
    try:
        return known_split(caption.parts[0]) if len(caption.parts) > 1 else None
    except DataError:
        return None


def _lines(text: str, image: str, lang: str | None, split: str | None, *, group: str) -> Iterator[Found]:
    for line, caption in enumerate(split_lines(text), start=1):
        if caption.strip():
            yield line, {"text": caption, "image": image, "lang": lang, "split": split, "group": group}
