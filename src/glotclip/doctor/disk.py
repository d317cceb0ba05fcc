"""Caches: where they lie, how large they are, and whether they can be written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from glotclip.doctor.check import Case, Finding, check
from glotclip.storage import cache_root, shown

LOW = 500 * 10**6  # bytes; a photo base, or the features of 300,000 images
KINDS = {
    "features": "features of images and texts",
    "bases": "bases that were put together here",
    "data": "data that was fetched",
    "emoji-images": "drawn emoji",
    "made": "what commands wrote",
}


@check("caches")
def caches(case: Case) -> Iterator[Finding]:
    """Glotclip's cache folder and what is in it, and the hub's."""
    root = cache_root()
    if not root.exists():
        yield Finding("cache", f"{shown(root)} is not there yet; it is made when it is needed")
    else:
        yield _writable(root)
        known = [root / kind for kind in KINDS if (root / kind).is_dir()]
        for folder in known:
            yield Finding(folder.name, f"{size_words(size_of(folder))}: {KINDS[folder.name]}")
        rest = size_of(root) - sum(map(size_of, known))
        yield Finding("everything else", size_words(rest))
    free = shutil.disk_usage(_existing(root)).free
    if free < LOW:
        yield Finding(
            "free space", f"{size_words(free)} beside {shown(root)}", "broken",
            "free some space, or set GLOTCLIP_CACHE to a folder on a larger disk",
        )  # fmt: skip
    else:
        yield Finding("free space", size_words(free))
    from huggingface_hub.constants import HF_HUB_CACHE

    hub = Path(HF_HUB_CACHE)
    if hub.is_dir():
        yield Finding("hub", f"{size_words(size_of(hub))} in {shown(hub)}")


def _writable(root: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        return Finding(
            "cache", f"{shown(root)} cannot be written ({error.strerror}): nothing is remembered", "broken",
            "set GLOTCLIP_CACHE to a folder that can be written",
        )  # fmt: skip
    return Finding("cache", shown(root))


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder; what goes away meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(Path(place, name)).st_size
            except OSError:
                continue
    return total


def size_words(count: int) -> str:
    """A number of bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _existing(path: Path) -> Path:
    return next((each for each in (path, *path.parents) if each.is_dir()), Path.cwd())
